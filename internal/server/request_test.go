package server

import (
	"net/http"
	"net/netip"
	"testing"

	"clientele/internal/config"
)

func TestAddressOf(t *testing.T) {
	s := &Server{settings: config.Server{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                           {"203.0.113.7:4711", nil, "203.0.113.7"},
		"what an untrusted peer says":        {"203.0.113.7:4711", []string{"198.51.100.1"}, "203.0.113.7"},
		"before a trusted proxy":             {"10.1.2.3:80", []string{"198.51.100.1"}, "198.51.100.1"},
		"what the client wrote itself":       {"10.1.2.3:80", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		"two trusted proxies, two headers":   {"10.1.2.3:80", []string{"192.0.2.1, 198.51.100.1", "10.9.9.9"}, "198.51.100.1"},
		"a trusted proxy that says nothing":  {"10.1.2.3:80", nil, "10.1.2.3"},
		"rubbish from a trusted proxy":       {"10.1.2.3:80", []string{"unknown"}, "10.1.2.3"},
		"rubbish behind an address":          {"10.1.2.3:80", []string{"unknown, 10.4.4.4"}, "10.4.4.4"},
		"IPv6":                               {"[2001:db8::1]:443", nil, "2001:db8::1"},
		"IPv6 before a trusted proxy":        {"[fd00::1]:443", []string{"2001:db8::2"}, "2001:db8::2"},
		"an IPv4 address in IPv6's clothing": {"[::ffff:10.1.2.3]:443", []string{"198.51.100.1"}, "198.51.100.1"},
		"no address":                         {"@", []string{"198.51.100.1"}, ""},
	} {
		header := http.Header{}
		for _, f := range c.forwarded {
			header.Add("X-Forwarded-For", f)
		}
		if got := s.addressOf(c.peer, header); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Ensure sockets are counted by what one client has: an address, of IPv6 a network, as far as proxies are believed; and that a proxy on this
// machine whose word is not believed is not counted as one client.
func TestPeerOf(t *testing.T) {
	s := &Server{settings: config.Server{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	for name, c := range map[string]struct{ peer, forwarded, want string }{
		"an address":                     {"203.0.113.7:4711", "198.51.100.1", "203.0.113.7"},
		"before a trusted proxy":         {"10.1.2.3:80", "198.51.100.1", "198.51.100.1"},
		"IPv6":                           {"[2001:db8:1:2:3::4]:443", "", "2001:db8:1:2::/64"},
		"its neighbour":                  {"[2001:db8:1:2:ffff::4]:443", "", "2001:db8:1:2::/64"},
		"IPv6 before a trusted proxy":    {"10.1.2.3:80", "2001:db8:1:3::4", "2001:db8:1:3::/64"},
		"a link's address":               {"[fe80::1%eth0]:443", "", "fe80::/64"},
		"IPv4 in IPv6's clothing":        {"[::ffff:203.0.113.7]:443", "", "203.0.113.7"},
		"this machine":                   {"127.0.0.1:4711", "198.51.100.1", ""},
		"this machine by IPv6":           {"[::1]:4711", "", ""},
		"no address":                     {"@", "", ""},
		"a trusted proxy that is silent": {"10.1.2.3:80", "", "10.1.2.3"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := s.peerOf(r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
