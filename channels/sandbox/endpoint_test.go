package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"clientele/channels/sandbox"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/services"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// behaving is how the simulated platform was told to behave.
type behaving models.SandboxSending

func (b behaving) SandboxSending(context.Context, models.Key) (models.SandboxSending, error) {
	return models.SandboxSending(b), nil
}

var (
	account = &models.Account{Key: models.NewKey(), Channel: models.ChannelSandbox}
	message = &models.Message{Key: models.NewKey(), Kind: models.ContentText, Text: "hello, 你好"}
)

// send sends one message with an endpoint behind the channel.
func send(ctx context.Context, url string, how models.SandboxSending) error {
	ch := sandbox.New()
	ch.Reach(url)
	ch.Use(behaving(how))
	return ch.Send(ctx, account, "wei", message)
}

// class is what a worker makes of an answer.
func class(err error) string {
	var refused *services.Refusal
	switch {
	case err == nil:
		return "SENT"
	case errors.As(err, &refused):
		s := "FAILED " + string(refused.Reason)
		if refused.WindowOver {
			s += " over"
		}
		if refused.WindowSpent {
			s += " spent"
		}
		return s
	case errors.Is(err, services.ErrNotSent):
		return "not sent"
	}
	return "UNKNOWN"
}

// Ensure each answer of an endpoint counts as the protocol says.
func TestAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		code int
		body string
		want string
	}{
		"taken":                   {200, "", "SENT"},
		"taken, no content":       {204, "", "SENT"},
		"taken, whatever it says": {202, `{"reason":"REFUSED"}`, "SENT"},
		"unavailable":             {503, `{"reason":"REFUSED"}`, "not sent"},
		"refused":                 {403, `{"reason":"REFUSED"}`, "FAILED REFUSED"},
		"window over":             {409, `{"reason":"REPLY_WINDOW_CLOSED","windowOver":true}`, "FAILED REPLY_WINDOW_CLOSED over"},
		"window spent":            {400, `{"reason":"REPLY_WINDOW_CLOSED","windowSpent":true}`, "FAILED REPLY_WINDOW_CLOSED spent"},
		"not following":           {404, `{"reason":"NOT_FOLLOWING"}`, "FAILED NOT_FOLLOWING"},
		"content":                 {422, `{"reason":"CONTENT_REJECTED"}`, "FAILED CONTENT_REJECTED"},
		"rejected":                {499, `{"reason":"REJECTED"}`, "FAILED REJECTED"},
		"no reason":               {404, "404 page not found", "UNKNOWN"},
		"a reason of ours":        {400, `{"reason":"CHANNEL_UNAVAILABLE"}`, "UNKNOWN"},
		"a reason of nobody":      {400, `{"reason":"MOOD"}`, "UNKNOWN"},
		"too long a reason":       {400, `{"reason":"REFUSED"` + strings.Repeat(" ", 4<<10) + `}`, "UNKNOWN"},
		"reason of a fault":       {500, `{"reason":"REFUSED"}`, "UNKNOWN"},
		"bad gateway":             {502, "", "UNKNOWN"},
		"gateway timeout":         {504, "", "UNKNOWN"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.code)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer s.Close()
			if got := class(send(t.Context(), s.URL, models.SandboxAccept)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// Ensure a redirect is not followed: the message would be posted twice.
func TestRedirect(t *testing.T) {
	var posts atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		posts.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	if got := class(send(t.Context(), s.URL, models.SandboxAccept)); got != "UNKNOWN" || posts.Load() != 1 {
		t.Errorf("%s after %d posts", got, posts.Load())
	}
}

// Ensure only a request for which there was no connection counts as not sent.
func TestBrokenConnections(t *testing.T) {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	t.Run("nobody listens", func(t *testing.T) {
		l := listen()
		_ = l.Close()
		if got := class(send(t.Context(), "http://"+l.Addr().String(), models.SandboxAccept)); got != "not sent" {
			t.Error(got)
		}
	})
	t.Run("no such host", func(t *testing.T) {
		if got := class(send(t.Context(), "http://host.invalid/", models.SandboxAccept)); got != "not sent" {
			t.Error(got)
		}
	})
	t.Run("no time to connect", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := class(send(ctx, "http://"+listen().Addr().String(), models.SandboxAccept)); got != "not sent" {
			t.Error(got)
		}
	})
	for name, answer := range map[string]string{
		"closed without a word": "", "half a status line": "HTTP/1.1 20", "another protocol": "220 smtp ready\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l := listen()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4<<10))
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
			}()
			if got := class(send(t.Context(), "http://"+l.Addr().String(), models.SandboxAccept)); got != "UNKNOWN" {
				t.Error(got)
			}
		})
	}
	t.Run("no answer in time", func(t *testing.T) {
		asked := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			close(asked)
			<-r.Context().Done()
		}))
		defer s.Close()
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-asked
			cancel(context.DeadlineExceeded)
		}()
		if got := class(send(ctx, s.URL, models.SandboxAccept)); got != "UNKNOWN" {
			t.Error(got)
		}
	})
}

// Ensure simulateSending goes before the endpoint.
func TestBehaviourFirst(t *testing.T) {
	var posts atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posts.Add(1) }))
	defer s.Close()
	for how, want := range map[models.SandboxSending]string{
		models.SandboxRefuseWindow: "FAILED REPLY_WINDOW_CLOSED over", models.SandboxRefuseCustomer: "FAILED REFUSED",
		models.SandboxUnreachable: "not sent", models.SandboxSilent: "UNKNOWN", models.SandboxStall: "UNKNOWN",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if got := class(send(ctx, s.URL, how)); got != want {
			t.Errorf("%s: %s, want %s", how, got, want)
		}
		cancel()
	}
	if n := posts.Load(); n != 0 {
		t.Errorf("%d messages were posted", n)
	}
}

// Ensure the process that stands for the platform takes, keeps and tells what it was sent, refuses
// and fails as it was told, and keeps no record of what it did not take.
func TestSandboxd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "taken")
	for _, tt := range []struct{ flag, want string }{
		{"", "SENT"}, {"", "SENT"}, {"-unavailable", "not sent"}, {"-refuse", "FAILED REFUSED"}, {"-silent", "UNKNOWN"},
	} {
		flags := []string{"-max-delay", "1ms"}
		if tt.flag != "" {
			flags = append(flags, tt.flag, "1")
		}
		sb := testkit.StartSandbox(t, file, flags...)
		if got := class(send(t.Context(), sb.URL, models.SandboxAccept)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.flag, got, tt.want)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, sb.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var read []testkit.Taken
		for d := json.NewDecoder(answer.Body); ; {
			var line testkit.Taken
			if d.Decode(&line) != nil {
				break
			}
			read = append(read, line)
		}
		_ = answer.Body.Close()
		if lines := sb.Lines(t); !reflect.DeepEqual(read, lines) {
			t.Errorf("it tells %v and kept %v", read, lines)
		}
		if err := sb.Stop(); err != nil {
			t.Error(err)
		}
		if got := class(send(t.Context(), sb.URL, models.SandboxAccept)); got != "not sent" {
			t.Errorf("stopped: %s", got)
		}
	}
	lines := (&testkit.Sandbox{File: file}).Lines(t)
	want := testkit.Taken{Account: account.ID().String(), OpenID: "wei", MessageID: message.ID().String(), Kind: "TEXT", Text: message.Text}
	if len(lines) != 3 {
		t.Fatalf("it took %v", lines)
	}
	for _, line := range lines {
		if line != want {
			t.Errorf("it took %+v, want %+v", line, want)
		}
	}
}
