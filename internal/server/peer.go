package server

import (
	"net/http"
	"net/netip"
)

// ipv6Network is how many bits of an IPv6 address are of the network that one customer of a provider has at least: whoever has one of its
// addresses has all.
const ipv6Network = 64

// peerOf names who asks for a WebSocket, for limits.StrangersPerAddress: the address that the audit log would name, of IPv6 its network. This
// machine itself has no name: it is a proxy whose word the settings do not believe, and what came over it would be limited as one.
func (s *Server) peerOf(r *http.Request) string {
	address, err := netip.ParseAddr(s.addressOf(r.RemoteAddr, r.Header))
	if err != nil || address.IsLoopback() {
		return ""
	}
	if address.Is6() {
		network, err := address.WithZone("").Prefix(ipv6Network)
		if err != nil {
			return ""
		}
		return network.String()
	}
	return address.String()
}
