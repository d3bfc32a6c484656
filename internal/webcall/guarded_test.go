package webcall_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"clientele/internal/webcall"
)

// Ensure addresses of the public network are told from all others, however they are written.
func TestIsPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "93.184.216.34": true, "2606:4700:4700::1111": true, "2a00:1450:4001::1": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.1.2.3": false, "10.0.0.1": false, "10.255.255.255": false, "172.16.0.1": false, "172.31.255.255": false,
		"172.32.0.1": true, "192.168.0.1": false, "169.254.169.254": false, "169.254.0.1": false, "100.64.0.1": false, "100.100.100.200": false, "100.128.0.1": true,
		"168.63.129.16": false, "192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::7f00:1": false, "::ffff:0:127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false,
		"2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "3fff::1": false, "fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false,
	} {
		if got := webcall.IsPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	if webcall.IsPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// Ensure this machine is not called by a public address of its own, whichever of its interfaces has it at that moment, nor anything while that is not known; that it
// is where private addresses are allowed; and that neighbours are no own addresses.
func TestGuardedOwnAddresses(t *testing.T) {
	network := func(cidr string) net.Addr {
		ip, n, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		return &net.IPNet{IP: ip, Mask: n.Mask}
	}
	own := []net.Addr{network("10.1.2.3/8"), network("93.184.216.34/24"), network("2606:4700:4700::1111/64"), &net.IPAddr{IP: net.ParseIP("8.8.8.8")}, &net.TCPAddr{}}
	for address, want := range map[string]bool{
		"93.184.216.34": true, "::ffff:93.184.216.34": true, "93.184.216.35": false, "10.1.2.3": true, "2606:4700:4700::1111": true, "2606:4700:4700::1112": false, "8.8.8.8": true, "8.8.4.4": false,
	} {
		if got := webcall.IsOf(own, netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	unknown := errors.New("unknown")
	var read error
	asked := 0
	g := webcall.NewGuarded(webcall.GuardedOptions{ConnectTime: time.Second, AnswerBytes: 1 << 10, Own: func() ([]net.Addr, error) {
		asked++
		return own, read
	}})
	for _, url := range []string{"https://93.184.216.34/", "https://93.184.216.34:8443/", "https://[2606:4700:4700::1111]/", "https://[::ffff:8.8.8.8]/"} {
		if _, _, err := g.Post(t.Context(), url, nil, nil); !errors.Is(err, webcall.ErrForbidden) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if asked != 4 {
		t.Errorf("asked %d times", asked)
	}
	own, read = nil, unknown
	if _, _, err := g.Post(t.Context(), "https://93.184.216.34/", nil, nil); !errors.Is(err, unknown) || errors.Is(err, webcall.ErrForbidden) {
		t.Errorf("while it is not known: %v", err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	inside := webcall.NewGuarded(webcall.GuardedOptions{Private: true, ConnectTime: 5 * time.Second, AnswerBytes: 1 << 10, Own: func() ([]net.Addr, error) { return []net.Addr{network("127.0.0.1/8")}, nil }})
	defer inside.CloseIdle()
	if status, _, err := inside.Post(t.Context(), server.URL, nil, nil); status != http.StatusOK || err != nil {
		t.Errorf("allowed: %d %v", status, err)
	}
}

// Ensure a private address is called neither by its number nor by a name that leads to it, nor by http, nor through a proxy, unless that is allowed; that
// a redirect is an answer; that of an answer no more is read than is said; and that an error names no address.
func TestGuarded(t *testing.T) {
	var called int
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		called++
		w.Header().Set("Retry-After", "9")
		http.Redirect(w, r, "/again", http.StatusPermanentRedirect)
	})
	released := make(chan struct{})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				break
			}
		}
		close(released)
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1)) // the server sees a client leave only once it reads
		<-r.Context().Done()
	})
	plain, sealed := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer sealed.Close()
	_, port, err := net.SplitHostPort(sealed.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HTTPS_PROXY", plain.URL)
	o := webcall.GuardedOptions{ConnectTime: 5 * time.Second, AnswerBytes: 64 << 10}
	guarded := webcall.NewGuarded(o)
	o.Private = true
	inside := webcall.NewGuarded(o)
	defer inside.CloseIdle()
	post := func(g *webcall.Guarded, url string) (int, string, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return g.Post(ctx, url, http.Header{"X-Test": {"y"}}, []byte("{}"))
	}
	for _, url := range []string{
		plain.URL, sealed.URL, "https://localhost:" + port, "https://[::1]:" + port, "https://[::ffff:127.0.0.1]:" + port, "https://0x7f000001:" + port, "https://127.1:" + port, "https://0.0.0.0:" + port,
	} {
		_, _, err := post(guarded, url)
		if err == nil || strings.Contains(err.Error(), "?key=") || called > 0 {
			t.Errorf("%s was called: %v", url, err)
		}
	}
	if _, _, err := post(guarded, "https://localhost:"+port); !errors.Is(err, webcall.ErrForbidden) {
		t.Errorf("a name of this machine: %v", err)
	}
	if status, after, err := post(inside, plain.URL); status != http.StatusPermanentRedirect || after != "9" || err != nil || called != 1 {
		t.Errorf("allowed: %d %q %v, %d calls", status, after, err, called)
	}
	if status, _, err := post(inside, plain.URL+"/endless"); status != http.StatusOK || err != nil {
		t.Errorf("an answer without end: %d %v", status, err)
	}
	<-released
	if _, _, err := post(inside, sealed.URL+"/?key=secret"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a certificate of nobody: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := inside.Post(ctx, plain.URL+"/slow", http.Header{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too slow: %v", err)
	}
}

// Ensure a server that closed a kept connection is called anew rather than reported, and that the caller's header stays as it was and is all that is sent.
func TestGuardedKeptConnection(t *testing.T) {
	g := webcall.NewGuarded(webcall.GuardedOptions{Private: true, ConnectTime: 5 * time.Second, AnswerBytes: 1 << 10})
	defer g.CloseIdle()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const answer = "HTTP/1.1 204 No Content\r\n\r\n"
	go func() {
		for n := 0; ; n++ {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			// The first connection takes one request, and is closed when the second one comes.
			for range 2 {
				q, err := http.ReadRequest(in)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, q.Body)
				if _, sent := q.Header["Idempotency-Key"]; sent {
					t.Error("a header that nobody asked for was sent")
				}
				_, _ = io.WriteString(c, answer)
				if n == 0 {
					_, _ = in.ReadByte()
					break
				}
			}
			_ = c.Close()
		}
	}()
	header := http.Header{"X-Test": {"y"}}
	for i := range 2 {
		status, _, err := g.Post(t.Context(), "http://"+listener.Addr().String(), header, []byte("{}"))
		if err != nil || status != http.StatusNoContent {
			t.Errorf("call %d: %d %v", i, status, err)
		}
	}
	if len(header) != 1 {
		t.Errorf("the header became %v", header)
	}
}
