// Makes a CoRIM with Veraison's own packages, from the templates that its command line tool reads: signed when there
// is a key, unsigned without one.
//
//	makecorim CORIM.json COMID.json [META.json KEY.jwk] > corim.cbor
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/veraison/corim/comid"
	"github.com/veraison/corim/corim"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 && len(args) != 4 {
		return errors.New("usage: makecorim CORIM.json COMID.json [META.json KEY.jwk]")
	}
	var files [][]byte
	for _, name := range args {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, data)
	}
	manifest := corim.NewUnsignedCorim()
	if err := manifest.FromJSON(files[0]); err != nil {
		return err
	}
	module := comid.NewComid()
	if err := module.FromJSON(files[1]); err != nil {
		return err
	}
	if manifest.AddComid(*module) == nil {
		return fmt.Errorf("the CoMID is not valid: %w", module.Valid())
	}
	made, err := manifest.ToCBOR()
	if err == nil && len(files) == 4 {
		made, err = signed(*manifest, files[2], files[3])
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(made)
	return err
}

func signed(manifest corim.UnsignedCorim, meta, key []byte) ([]byte, error) {
	signer, err := corim.NewSignerFromJWK(key)
	if err != nil {
		return nil, err
	}
	message := corim.SignedCorim{UnsignedCorim: manifest}
	if err := message.Meta.FromJSON(meta); err != nil {
		return nil, err
	}
	return message.Sign(signer)
}
