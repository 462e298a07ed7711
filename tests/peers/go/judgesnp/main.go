// Asks go-sev-guest about SEV-SNP reports: verify (signatures, chain, revocation), then validate with a policy
// that admits everything its owner may decide, so that only what ties certificate and report stays.
// Nothing is fetched: a URL other than that of a revocation list is refused.
package main

import (
	"crypto/x509"
	"fmt"
	"strings"

	"attest.invalid/peers/lines"
	"github.com/google/go-sev-guest/abi"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/validate"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"
)

type given struct{ crl []byte }

func (g given) Get(url string) ([]byte, error) {
	if strings.HasSuffix(url, "/crl") && g.crl != nil {
		return g.crl, nil
	}
	return nil, fmt.Errorf("not given: %s", url)
}

func judge(question lines.Question) error {
	trust.ClearProductCertCache()
	report, err := abi.ReportToProto(question.Raw("report"))
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	attestation := &spb.Attestation{
		Report: report,
		CertificateChain: &spb.CertificateChain{
			VcekCert: question.Raw("vcek"),
			VlekCert: question.Raw("vlek"),
			AskCert:  question.Raw("ca"),
			ArkCert:  question.Raw("root"),
		},
	}
	options := &verify.Options{
		CheckRevocations: question.Raw("crl") != nil,
		Getter:           given{question.Raw("crl")},
		Now:              question.At,
	}
	if options.TrustedRoots, err = roots(question); err != nil {
		return fmt.Errorf("roots: %w", err)
	}
	if err := verify.SnpAttestation(attestation, options); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	anything := &validate.Options{
		GuestPolicy:               abi.SnpPolicy{SMT: true, MigrateMA: true, Debug: true, CXLAllowed: true},
		PermitProvisionalFirmware: true,
	}
	if err := validate.SnpAttestation(attestation, anything); err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	return nil
}

// Of another root's question: that root for each product, with the intermediate that came along.
func roots(question lines.Question) (map[string][]*trust.AMDRootCerts, error) {
	root, err := question.TrustedRoot()
	if root == nil || err != nil {
		return nil, err
	}
	intermediate, err := x509.ParseCertificate(question.Raw("ca"))
	if err != nil {
		return nil, err
	}
	trusted := map[string][]*trust.AMDRootCerts{}
	for _, product := range []string{"Milan", "Genoa", "Turin"} {
		certificates := &trust.ProductCerts{Ark: root, Ask: intermediate}
		if question.Raw("vlek") != nil {
			certificates.Asvk = intermediate
		}
		one := trust.AMDRootCertsProduct(product)
		one.ProductCerts = certificates
		trusted[product] = []*trust.AMDRootCerts{one}
	}
	return trusted, nil
}

func main() { lines.Serve("github.com/google/go-sev-guest", judge) }
