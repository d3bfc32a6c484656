package relay

import (
	"context"
	"encoding/base64"
	"encoding/binary"
)

// Keyset is a position in a list that is ordered by a number and then by key, both descending
// or both ascending as the list says.
type Keyset struct {
	Sort int64
	Key  [16]byte
}

const keysetVersion = 1

// Encode is the position as an opaque cursor.
func (k Keyset) Encode() string {
	var b [25]byte
	b[0] = keysetVersion
	binary.BigEndian.PutUint64(b[1:], uint64(k.Sort)) //nolint:gosec // the bits are kept as they are.
	copy(b[9:], k.Key[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ParseKeyset reads what Encode wrote; it reports false for anything else.
func ParseKeyset(s string) (Keyset, bool) {
	var b [25]byte
	if len(s) != base64.RawURLEncoding.EncodedLen(len(b)) {
		return Keyset{}, false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s)); err != nil || n != len(b) || b[0] != keysetVersion {
		return Keyset{}, false
	}
	k := Keyset{Sort: int64(binary.BigEndian.Uint64(b[1:]))} //nolint:gosec // the bits are kept as they are.
	copy(k.Key[:], b[9:])
	return k, true
}

// Page is what a list is asked for: at most First items after After (nil: from the start).
type Page struct {
	First int
	After *Keyset
}

// PageInfo is Relay's. Lists are read forwards only, so HasPreviousPage tells whether the page
// was asked for with `after`.
type PageInfo struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

// Connection is one page of a list of N, with edges E.
type Connection[N, E any] struct {
	Edges    []E
	Nodes    []N
	PageInfo *PageInfo
	// Count counts the whole list, where its type has a totalCount, and is nil elsewhere. It answers nil
	// where the count is not known.
	Count func(context.Context) (*int, error)
}

// GoOn has a page that is not full be followed by another behind end: the list was not looked through
// to its end, so a page may be short, or empty, though more follows.
func (c *Connection[N, E]) GoOn(end Keyset) {
	cursor := end.Encode()
	c.PageInfo.HasNextPage, c.PageInfo.EndCursor = true, &cursor
}

// Connect makes a page of rows that were read with a limit of page.First+1: the row too many
// says that there is a next page and is dropped. An edge is an item and its cursor.
func Connect[N any, E ~struct {
	Cursor string
	Node   N
}](rows []N, page Page, position func(N) Keyset) *Connection[N, E] {
	more := len(rows) > page.First
	if more {
		rows = rows[:page.First]
	}
	c := &Connection[N, E]{
		Edges: make([]E, len(rows)), Nodes: rows,
		PageInfo: &PageInfo{HasNextPage: more, HasPreviousPage: page.After != nil},
	}
	if c.Nodes == nil {
		c.Nodes = []N{}
	}
	type edge = struct {
		Cursor string
		Node   N
	}
	for i, r := range rows {
		c.Edges[i] = E(edge{Cursor: position(r).Encode(), Node: r})
	}
	if n := len(rows); n > 0 {
		first, last := edge(c.Edges[0]).Cursor, edge(c.Edges[n-1]).Cursor
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &first, &last
	}
	return c
}
