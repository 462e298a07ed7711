// Asks go-tdx-guest about TDX quotes: verify with collateral and revocation lists from the question, then
// validate without any expected value, which leaves the fixed bits of XFAM and TDATTRIBUTES.
package main

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"

	"attest.invalid/peers/lines"
	"github.com/google/go-tdx-guest/validate"
	"github.com/google/go-tdx-guest/verify"
)

type given struct{ question lines.Question }

func (g given) Get(asked string) (map[string][]string, []byte, error) {
	header := func(name, role string) map[string][]string {
		return map[string][]string{name: {url.QueryEscape(string(g.question.Raw(role)))}}
	}
	switch {
	case strings.Contains(asked, "/tcb?"):
		return header("Tcb-Info-Issuer-Chain", "tcb_info_chain"), g.question.Raw("tcb_info"), nil
	case strings.Contains(asked, "/qe/identity"):
		return header("Sgx-Enclave-Identity-Issuer-Chain", "qe_identity_chain"), g.question.Raw("qe_identity"), nil
	case strings.Contains(asked, "/pckcrl?"):
		return header("Sgx-Pck-Crl-Issuer-Chain", "pck_crl_chain"), g.question.Raw("pck_crl"), nil
	case strings.HasSuffix(asked, "/IntelSGXRootCA.der"):
		return nil, g.question.Raw("root_crl"), nil
	}
	return nil, nil, fmt.Errorf("not given: %s", asked)
}

func judge(question lines.Question) error {
	options := verify.DefaultOptions()
	options.GetCollateral = true
	options.CheckRevocations = true
	options.Getter = given{question}
	options.Now = question.At
	root, err := question.TrustedRoot()
	if err != nil {
		return err
	}
	if root != nil {
		options.TrustedRoots = x509.NewCertPool()
		options.TrustedRoots.AddCert(root)
	}
	quote := question.Raw("quote")
	if err := verify.RawTdxQuote(quote, options); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := validate.RawTdxQuote(quote, &validate.Options{}); err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	return nil
}

func main() { lines.Serve("github.com/google/go-tdx-guest", judge) }
