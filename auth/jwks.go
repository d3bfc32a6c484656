package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"

	"clientele/limits"
)

// JWKS is the keys of a JSON Web Key Set (RFC 7517), at an address or in a file, and fixed keys, which
// go before it. It is a KeySource that is read again while Run runs: Find never waits for a network. When the
// set cannot be read, or has no key that can be used, the last good one stays. Safe for concurrent use.
type JWKS struct {
	fixed  *Keys
	source string
	client *http.Client
	log    *slog.Logger
	set    atomic.Pointer[Keys]
	// asked is signalled when a kid was looked for that is not known: at most one signal waits.
	asked chan struct{}
}

// NewJWKS makes one of a file's path, or an https address; http only to this very machine. Nothing is
// read yet. It fails for any other address.
func NewJWKS(source string, fixed *Keys, log *slog.Logger) (*JWKS, error) {
	if IsAddress(source) {
		if err := checkAddress(source); err != nil {
			return nil, err
		}
	}
	j := &JWKS{fixed: fixed, source: source, log: log, asked: make(chan struct{}, 1), client: &http.Client{
		Timeout: limits.JWKSTime,
		// Who answers with another address could name any.
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the address leads elsewhere") },
	}}
	j.set.Store(&Keys{})
	return j, nil
}

// IsAddress reports whether a source of keys is an address and not a file.
func IsAddress(source string) bool { return strings.Contains(source, "://") }

func checkAddress(source string) error {
	u, err := url.Parse(source)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("is no address")
	}
	switch host := u.Hostname(); {
	case u.Scheme == "https":
	case u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1"):
	default:
		return errors.New("is no https address: whoever is on the way could put keys of their own in")
	}
	return nil
}

// Find implements KeySource. A kid that is not known has the set read again soon, at most once each
// limits.JWKSAgain: the sign-in may have a new key.
func (j *JWKS) Find(kid string) (Key, bool) {
	if k, ok := j.fixed.Find(kid); ok {
		return k, true
	}
	if k, ok := j.set.Load().Find(kid); ok {
		return k, true
	}
	select {
	case j.asked <- struct{}{}:
	default:
	}
	return Key{}, false
}

// Run reads the set each limits.JWKSRefresh, and sooner for a kid that is not known, until ctx ends.
func (j *JWKS) Run(ctx context.Context) {
	again := time.NewTicker(limits.JWKSAgain)
	defer again.Stop()
	for left := limits.JWKSRefresh; ; {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			left -= limits.JWKSAgain
		}
		asked := false
		select {
		case <-j.asked:
			asked = true
		default:
		}
		// Without any key there is nothing to lose by asking.
		if left > 0 && !asked && len(j.set.Load().byID) > 0 {
			continue
		}
		left = limits.JWKSRefresh
		if err := j.Refresh(ctx); err != nil && ctx.Err() == nil {
			j.log.WarnContext(ctx, "the key set could not be read; the keys there were stay", "keys", len(j.set.Load().byID), "error", err)
		}
	}
}

// Refresh reads the set now. On an error the keys there were stay.
func (j *JWKS) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limits.JWKSTime)
	defer cancel()
	text, err := j.read(ctx)
	if err != nil {
		return err
	}
	set, left, err := parseJWKS(text)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		j.log.WarnContext(ctx, "keys of the key set are left out", "why", left)
	}
	j.set.Store(set)
	return nil
}

func (j *JWKS) read(ctx context.Context) (text []byte, err error) {
	var from io.ReadCloser
	if IsAddress(j.source) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.source, http.NoBody)
		if err != nil {
			return nil, errors.New("the key set's address cannot be asked")
		}
		answer, err := j.client.Do(request)
		if err != nil {
			return nil, fmt.Errorf("the key set's address does not answer: %w", err)
		}
		if from = answer.Body; answer.StatusCode != http.StatusOK {
			return nil, errors.Join(fmt.Errorf("the key set's address answers %d", answer.StatusCode), from.Close())
		}
	} else if from, err = os.Open(j.source); err != nil {
		return nil, err
	}
	defer from.Close()
	if text, err = io.ReadAll(io.LimitReader(from, limits.JWKSBytes+1)); err != nil {
		return nil, err
	}
	if len(text) > limits.JWKSBytes {
		return nil, fmt.Errorf("the key set has more than %d bytes", limits.JWKSBytes)
	}
	return text, nil
}

// parseJWKS makes keys of a set: each pins the algorithm that its type is for. left says why others were left out:
// those without an id that may name a key, secrets, private keys, keys for other uses. It fails when none is
// left.
func parseJWKS(text []byte) (set *Keys, left []string, err error) {
	var marshalled jwkset.JWKSMarshal
	if err := json.Unmarshal(text, &marshalled); err != nil {
		return nil, nil, errors.New("the key set is no JSON Web Key Set")
	}
	if len(marshalled.Keys) > limits.JWKSKeys {
		return nil, nil, fmt.Errorf("the key set has more than %d keys", limits.JWKSKeys)
	}
	set = &Keys{byID: map[string]Key{}}
	for i, m := range marshalled.Keys {
		k, err := keyOf(m)
		switch _, twice := set.byID[k.id]; {
		case err != nil:
			left = append(left, fmt.Sprintf("entry %d: %s", i+1, err))
		case twice:
			// Which of the two is meant nobody can tell.
			return nil, nil, errors.New("two keys of the key set have the same id")
		default:
			set.byID[k.id] = k
		}
	}
	if len(set.byID) == 0 {
		return nil, nil, fmt.Errorf("the key set has no key that can be used: %s", strings.Join(left, "; "))
	}
	return set, left, nil
}

func keyOf(m jwkset.JWKMarshal) (Key, error) {
	switch {
	case !IsKeyID(m.KID):
		return Key{}, errKeyID
	case m.KTY == jwkset.KtyOct:
		return Key{}, errors.New("a secret has no business in a key set")
	case m.D != "":
		return Key{}, errors.New("a private key has no business in a key set")
	case m.USE != "" && m.USE != jwkset.UseSig:
		return Key{}, errors.New("it is not for signatures")
	}
	// The key itself alone: certificates would have to be judged, and fetched.
	jwk, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{KTY: m.KTY, KID: m.KID, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E}, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return Key{}, errors.New("it cannot be read")
	}
	k, err := newPublicKey(m.KID, jwk.Key())
	if err == nil && m.ALG != "" && m.ALG.String() != k.Algorithm() {
		return Key{}, fmt.Errorf("it is not for %s", k.Algorithm())
	}
	return k, err
}
