// Reads an attestation result with Veraison's own package: its verification, its parser, its rule that a status is
// no better than its vector. Prints what the package made of it, in the package's own spelling.
//
//	readear ALGORITHM PUBLIC-KEY.pem < token
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/veraison/ear"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return errors.New("usage: readear ALGORITHM PUBLIC-KEY.pem < token")
	}
	raw, err := os.ReadFile(os.Args[2])
	if err != nil {
		return err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return errors.New("no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	token, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var result ear.AttestationResult
	if err := result.Verify(token, jwa.SignatureAlgorithm(os.Args[1]), key); err != nil {
		return err
	}
	for name, part := range result.Submods {
		said := *part.Status
		part.UpdateStatusFromTrustVector()
		if *part.Status != said {
			return fmt.Errorf("%s says %s and its vector %s", name, said, *part.Status)
		}
	}
	// Marshalling validates as well.
	made, err := json.Marshal(result)
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(made))
	return err
}
