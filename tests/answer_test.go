package tests

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/limits"
)

// Ensure who asks and takes no answer does not keep the server writing: the connection ends.
func TestAnswersThatNobodyTakes(t *testing.T) {
	ended := make(chan struct{}, 1)
	w := start(t, testkit.SQLite(t), options{
		settings: func(s *config.Server) { s.GraphiQL = true },
		serving: func(s *http.Server) {
			if s.WriteTimeout < limits.UploadTime+limits.OperationTime {
				t.Errorf("an answer has %s to come about and to be taken", s.WriteTimeout)
			}
			s.WriteTimeout = 200 * time.Millisecond
			s.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateClosed {
					ended <- struct{}{}
				}
			}
		},
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// Answers of more than the buffers of both sides hold.
	go func() {
		_, _ = conn.Write([]byte(strings.Repeat("GET /metrics HTTP/1.1\r\nHost: api\r\nAccept-Encoding: identity\r\n\r\n", 4_000))) // it ends, perhaps by a reset
	}()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-ended:
	case <-timeout.C:
		t.Fatal("the server still writes")
	}
}

// Ensure the header of a request has a size: memory is not for who has not said who they are (rule X2).
func TestHeadersHaveASize(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	status := func(size int) int {
		t.Helper()
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		const begin, end = "GET /healthz HTTP/1.1\r\nHost: api\r\nX-Long: ", "\r\n\r\n"
		if _, err := fmt.Fprint(conn, begin, strings.Repeat("x", size-len(begin)-len(end)), end); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	const slop = 4 << 10 // net/http's own, for its buffer
	if got := status(limits.HeaderBytes); got != http.StatusOK {
		t.Errorf("the longest header: %d", got)
	}
	if got := status(limits.HeaderBytes + slop + 1); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("one that is too long: %d", got)
	}
}

// Ensure who brings no token that is good is refused before their body is read: it would be held in memory for nothing.
func TestBodiesOfNobodyAreNotRead(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	for name, header := range map[string]string{"no token": "", "no good token": "Authorization: Bearer x.y.z\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(slack)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: api\r\nContent-Type: application/json; charset=utf-8\r\n%sContent-Length: 1000000\r\n\r\n", header); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: no answer before the body: %v", name, err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `"UNAUTHENTICATED"`) || strings.Contains(string(text), `"data"`) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
	}
}
