// Asks go-sev-guest about SEV-SNP reports: verify (signatures, chain, revocation), then validate with a policy
// that admits everything its owner may decide, so that only what ties certificate and report stays.
// Nothing is fetched: a URL other than that of a revocation list is refused.
package main

import (
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

func main() { lines.Serve("github.com/google/go-sev-guest", judge) }
