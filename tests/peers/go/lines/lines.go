// Package lines is a conversation of JSON lines: one question a line on stdin, one answer a line on stdout.
package lines

import (
	"bufio"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

const longest = 32 << 20

var answers = os.Stdout

// go-tdx-guest logs to what os.Stdout is when its packages start: only answers may leave by the stream we are
// read on. Packages start in the order of their paths, this one before those of github.com.
func init() { os.Stdout = os.Stderr }

// Question is one set of evidence and endorsements by role, and the instant to judge it at.
type Question struct {
	At    time.Time         `json:"at"`
	Files map[string]string `json:"files"`
}

// Raw is the bytes of a role, nil where the question has none.
func (q Question) Raw(role string) []byte {
	raw, err := hex.DecodeString(q.Files[role])
	if err != nil || q.Files[role] == "" {
		return nil
	}
	return raw
}

// TrustedRoot is the root to trust in place of the vendor's, nil where the question has none.
func (q Question) TrustedRoot() (*x509.Certificate, error) {
	raw := q.Raw("trusted_root")
	if raw == nil {
		return nil, nil
	}
	return x509.ParseCertificate(raw)
}

type answer struct {
	Accepts bool   `json:"accepts"`
	Detail  string `json:"detail"`
	Why     string `json:"why"`
}

// Serve answers until stdin ends. module: the peer, whose version the first line tells.
func Serve(module string, judge func(Question) error) {
	out := json.NewEncoder(answers)
	_ = out.Encode(map[string]string{"ready": module + " " + version(module)})
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), longest)
	for in.Scan() {
		var question Question
		if err := json.Unmarshal(in.Bytes(), &question); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		made := answer{Accepts: true}
		if err := guarded(judge, question); err != nil {
			made = answer{Why: err.Error()}
		}
		_ = out.Encode(made)
	}
}

// A panic is an answer too: it is told apart by its first word.
func guarded(judge func(Question) error, question Question) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return judge(question)
}

func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "?"
}
