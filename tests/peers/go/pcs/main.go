// Verifies a TDX quote with go-tdx-guest, which fetches TCB info, QE identity and both revocation lists from a
// local service in place of Intel's: the host of each URL is replaced, its path and query are go-tdx-guest's own.
//
//	pcs QUOTE BASE-URL RFC3339-TIME
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-tdx-guest/verify"
)

var vendors = []string{
	"https://api.trustedservices.intel.com",
	"https://certificates.trustedservices.intel.com",
}

type local struct{ base string }

func (l local) Get(url string) (map[string][]string, []byte, error) {
	for _, vendor := range vendors {
		if path, found := strings.CutPrefix(url, vendor); found {
			return l.fetch(path)
		}
	}
	return nil, nil, fmt.Errorf("asked for %s, not for Intel's service", url)
}

func (l local) fetch(path string) (map[string][]string, []byte, error) {
	fmt.Println("asked", path)
	client := &http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(l.base + path)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	return answer.Header, body, err
}

func run(file, base, at string) error {
	quote, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	now, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return err
	}
	options := verify.DefaultOptions()
	options.GetCollateral = true
	options.CheckRevocations = true
	options.Getter = local{base}
	options.Now = now
	return verify.RawTdxQuote(quote, options)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "pcs QUOTE BASE-URL TIME")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
	fmt.Println("verified")
}
