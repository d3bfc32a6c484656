package models_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"clientele/limits"
	"clientele/models"
)

// Ensure signatures are those of Standard Webhooks, by the example of its text.
func TestSignWebhook(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	const id, seconds, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, `{"test": 2432232314}`
	if got := models.SignWebhook([][]byte{secret}, id, seconds, []byte(body)); got != want {
		t.Errorf("got %s", got)
	}
	if got := models.SignWebhook([][]byte{secret, []byte("another")}, id, seconds, []byte(body)); !strings.HasPrefix(got, want+" v1,") || len(strings.Fields(got)) != 2 {
		t.Errorf("with two secrets %s", got)
	}
	if got := models.ShownSecret(secret); got != "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" {
		t.Errorf("the secret is shown as %s", got)
	}
}

func TestCheckWebhookURL(t *testing.T) {
	long := "https://crm.example.com/" + strings.Repeat("x", limits.WebhookURLBytes-len("https://crm.example.com/"))
	for _, tt := range []struct {
		url            string
		public, inside models.Code // "": it may be
	}{
		{"https://crm.example.com", "", ""},
		{"https://crm.example.com:8443/a/b?c=d", "", ""},
		{"https://203.0.113.7/", "", ""}, // what decides is the call
		{long, "", ""},
		{long + "x", models.CodeLimitExceeded, models.CodeLimitExceeded},
		{"http://crm.example.com/", models.CodeInvalid, ""},
		{"HTTPS://crm.example.com/", "", ""},
		{"https://localhost/", models.CodeInvalid, ""},
		{"https://a.LocalHost./", models.CodeInvalid, ""},
		{"https://10.0.0.1/", models.CodeInvalid, ""},
		{"https://127.0.0.1:1/", models.CodeInvalid, ""},
		{"https://[::ffff:10.0.0.1]/", models.CodeInvalid, ""},
		{"https://[fe80::1%25eth0]/", models.CodeInvalid, ""},
		{"https://0.0.0.0/", models.CodeInvalid, ""},
		{"https://a@crm.example.com/", models.CodeInvalid, models.CodeInvalid},
		{"https://crm.example.com/#", models.CodeInvalid, models.CodeInvalid},
		{"https://crm.example.com:0/", models.CodeInvalid, models.CodeInvalid},
		{"https://crm.example.com:65536/", models.CodeInvalid, models.CodeInvalid},
		{"https://:443/", models.CodeInvalid, models.CodeInvalid},
		{"https:crm.example.com", models.CodeInvalid, models.CodeInvalid},
		{"ftp://crm.example.com/", models.CodeInvalid, models.CodeInvalid},
		{"file:///etc/passwd", models.CodeInvalid, models.CodeInvalid},
		{"//crm.example.com/", models.CodeInvalid, models.CodeInvalid},
		{"https://crm.example.com/a b", models.CodeInvalid, models.CodeInvalid},
		{"https://crm.example.com/\r\nX: y", models.CodeInvalid, models.CodeInvalid},
		{"", models.CodeInvalid, models.CodeInvalid},
	} {
		if got := models.CodeOf(models.CheckWebhookURL(tt.url, "url", false)); got != tt.public {
			t.Errorf("%.60q: %q, want %q", tt.url, got, tt.public)
		}
		if got := models.CodeOf(models.CheckWebhookURL(tt.url, "url", true)); got != tt.inside {
			t.Errorf("%.60q with private networks: %q, want %q", tt.url, got, tt.inside)
		}
	}
}

func TestWebhookPauses(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 10: 2560 * time.Second, 11: time.Hour, 12: time.Hour, 1_000_000: time.Hour} {
		if got := models.WebhookBackoff(n); got != want {
			t.Errorf("after %d failures %s, want %s", n, got, want)
		}
	}
	now := models.At(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC))
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "3600": time.Hour, "3601": time.Hour, "99999999999999999999": 0, "soon": 0,
		"Mon, 02 Mar 2026 01:00:30 GMT": 30 * time.Second, "Mon, 02 Mar 2026 00:00:30 GMT": 0, "Tue, 03 Mar 2026 01:00:30 GMT": time.Hour,
	} {
		if got := models.RetryAfter(header, now); got != want {
			t.Errorf("Retry-After %q: %s, want %s", header, got, want)
		}
	}
}
