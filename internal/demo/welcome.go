package demo

import (
	"fmt"
	"net"
	"strings"
	"text/tabwriter"
	"time"
)

// welcome is what is printed when everything is set up. Its first line is what programs wait for.
func (d *Demo) welcome(at net.Addr, host string, f *folder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ready http://%s\n\n", at)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0) // two spaces between columns.
	row := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", label, fmt.Sprintf(format, args...))
	}
	row("GraphiQL", "http://%s/graphiql", host)
	row("API", "http://%s/graphql, also as WebSocket (%s)", host, subprotocol)
	row("Data", "%s%s", f.path, map[bool]string{true: " (removed at the end)"}[f.isTemporary])
	names := strings.Join([]string{platformName, adminName, integrationName, analystName}, ", ")
	row("Tokens", "%s for %s and %s to %s", f.token("*"), names, advisorName(1), advisorName(advisorCount))
	row("", "good until %s", time.Now().Add(tokenLife).Format(time.DateOnly))
	row("QR code", "%s: %s's with the label %s; filter customers and scans by it", f.poster(), posterOf, posterLabel)
	if d.Settings.Quiet {
		row("Story", "none: %d customers follow, and nobody does anything; the advisors' apps are closed", d.Settings.Customers)
	} else {
		row("Story", "seed %d, %d customers, %d of them here from the beginning", d.Settings.Seed, d.Settings.Customers, Regulars(d.Settings.Customers))
	}
	_ = w.Flush() // a strings.Builder takes everything.
	fmt.Fprintf(&b, "\nPaste the token of %s into GraphiQL's Token field, this below it, and run it:\n\n", f.token(advisorName(1)))
	for line := range strings.Lines(MessagesDocument) {
		b.WriteString("  " + line)
	}
	b.WriteString("\n\nEvents as they are pushed (time, advisor, kind, customer, number in the advisor's stream):\n")
	return b.String()
}
