package wechat

import (
	"errors"
	"testing"

	"clientele/models"
	"clientele/services"
)

// Ensure whatever the platform answers is read as an answer, a refusal by its number, or no answer, and a send is repeated by itself only after a
// refusal that says that nothing was done.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		`{"errcode":0,"errmsg":"ok"}`, `{"errcode":45015,"errmsg":"response out of time limit"}`, `{"errcode":-1}`, `{"errcode":"0"}`, `{}`, `[]`, `null`, ``, `{"errcode":null}`,
		`{"errcode":1e9}`, `{"errcode":0.5}`, `{"access_token":"t","expires_in":7200}`, `{"errcode":0}{"errcode":1}`, "\xef\xbb\xbf{}", `<html>`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := read(models.APIMessages, text, nil)
		var refused *Error
		switch {
		case err == nil, errors.Is(err, errNoAnswer):
			if errors.Is(err, services.ErrNotSent) {
				t.Error("what is no answer would be sent again")
			}
		case errors.As(err, &refused):
			if refused.Code == 0 {
				t.Errorf("0 is a refusal: %q", text)
			}
			again := errors.Is(err, services.ErrNotSent)
			if want := refused.Code == CodeBusy || refused.Code == CodeQuota || refused.Code == CodeTooFrequent || refused.isAccounts(); again != want {
				t.Errorf("%d: tried again %v", refused.Code, again)
			}
		default:
			t.Errorf("%q: %v", text, err)
		}
		var into struct {
			Token string `json:"access_token"`
			Life  int    `json:"expires_in"`
		}
		if err := read(models.APIAccessToken, text, &into); err != nil && !errors.Is(err, errNoAnswer) && !errors.As(err, &refused) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// Ensure a send's answer without a number is none: nobody knows whether it was taken.
func TestAnswerWithoutNumber(t *testing.T) {
	if err := read(models.APIMessages, []byte(`{}`), nil); !errors.Is(err, errNoAnswer) {
		t.Errorf("read as %v", err)
	}
	for text, want := range map[string]string{`{"errcode":0}`: "ok", `{"errcode":45015}`: "45015", `{"errcode":12345}`: "other", `<html>`: "none"} {
		if got := Answer(read(models.APIMessages, []byte(text), nil)); got != want {
			t.Errorf("%s counts as %s, want %s", text, got, want)
		}
	}
}
