// Verifies an SEV-SNP report with go-sev-guest, which fetches the VCEK, its chain and the revocation list from
// a local service in place of AMD's: the host of each URL is replaced, its path and query are go-sev-guest's own.
//
//	kds REPORT BASE-URL RFC3339-TIME
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-sev-guest/abi"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/verify"
)

const vendor = "https://kdsintf.amd.com"

type local struct{ base string }

func (l local) Get(url string) ([]byte, error) {
	path, found := strings.CutPrefix(url, vendor)
	if !found {
		return nil, fmt.Errorf("asked for %s, not for AMD's service", url)
	}
	fmt.Println("asked", path)
	client := &http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(l.base + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 8<<20))
}

func run(file, base, at string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	now, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return err
	}
	report, err := abi.ReportToProto(raw)
	if err != nil {
		return err
	}
	return verify.SnpAttestation(&spb.Attestation{Report: report}, &verify.Options{
		CheckRevocations: true,
		Getter:           local{base},
		Now:              now,
	})
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "kds REPORT BASE-URL TIME")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
	fmt.Println("verified")
}
