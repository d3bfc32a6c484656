package docs_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"clientele/models"
)

// verify reports whether a request was signed with the secret, and is not older than five minutes.
func verify(secret string, header http.Header, body []byte, now time.Time) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	seconds, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	sum := hmac.New(sha256.New, key)
	fmt.Fprintf(sum, "%s.%d.%s", header.Get("webhook-id"), seconds, body)
	for _, signature := range strings.Fields(header.Get("webhook-signature")) {
		got, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1,"))
		if err == nil && hmac.Equal(got, sum.Sum(nil)) {
			return true
		}
	}
	return false
}

// Ensure the code that webhooks.md shows is the one above, and takes what is signed here and nothing else.
func TestVerificationExample(t *testing.T) {
	own, err := os.ReadFile("webhooks_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(mustRead(t, "webhooks.md"), "```go\n")
	shown, _, _ = strings.Cut(shown, "```")
	if shown == "" || !strings.Contains(string(own), shown) {
		t.Error("webhooks.md shows other code than this file has")
	}
	secret, old, now := []byte("a secret of thirty-two bytes, so"), []byte("the one that was replaced by it."), time.Unix(1_772_413_200, 0)
	body := []byte(`{"type":"test"}`)
	signed := func(body []byte, at time.Time, secrets ...[]byte) http.Header {
		h := http.Header{}
		h.Set("webhook-id", "evt_1")
		h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		h.Set("webhook-signature", models.SignWebhook(secrets, "evt_1", at.Unix(), body))
		return h
	}
	for _, tt := range []struct {
		name   string
		header http.Header
		want   bool
	}{
		{"signed", signed(body, now, secret), true},
		{"signed with both", signed(body, now, old, secret), true},
		{"signed with another", signed(body, now, old), false},
		{"of another body", signed([]byte(`{"type":"more"}`), now, secret), false},
		{"old", signed(body, now.Add(-6*time.Minute), secret), false},
		{"from the future", signed(body, now.Add(6*time.Minute), secret), false},
		{"not signed", http.Header{}, false},
	} {
		if got := verify(models.ShownSecret(secret), tt.header, body, now); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}
