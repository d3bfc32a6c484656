package webcall_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"clientele/internal/webcall"
)

// Ensure an answer comes with its status and body, one that is too long is an error with its status, a redirect is an answer, and only a call for which there
// was no connection is known not to have been made.
func TestDo(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/answer", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("12345678"))
	})
	mux.Handle("/elsewhere", http.RedirectHandler("/answer", http.StatusFound))
	mux.HandleFunc("/hang-up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	server := httptest.NewServer(mux)
	defer server.Close()
	client := webcall.New()
	defer client.CloseIdle()
	do := func(url string, most int64) (int, string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		status, body, err := client.Do(r, most)
		return status, string(body), err
	}
	if status, body, err := do(server.URL+"/answer", 8); status != http.StatusTeapot || body != "12345678" || err != nil {
		t.Errorf("%d %q %v", status, body, err)
	}
	if status, _, err := do(server.URL+"/answer", 7); status != http.StatusTeapot || err == nil {
		t.Errorf("an answer of a byte more than is read: %d %v", status, err)
	}
	if status, _, err := do(server.URL+"/elsewhere", 1<<10); status != http.StatusFound || err != nil {
		t.Errorf("a redirect: %d %v", status, err)
	}
	if _, _, err := do(server.URL+"/hang-up", 8); err == nil || errors.Is(err, webcall.ErrNotAsked) {
		t.Errorf("without an answer: %v", err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := do(address, 8); !errors.Is(err, webcall.ErrNotAsked) {
		t.Errorf("without a connection: %v", err)
	}
}
