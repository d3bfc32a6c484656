package models

import (
	"slices"
	"strings"
)

// The columns of a file of advisors (rule B7), besides those that a file of customers has too.
const (
	columnWechatID   = "wechat_id"
	columnExternalID = "external_id"
	columnAvatarURL  = "avatar_url"
	columnGroups     = "groups"
	columnState      = "state"
)

// AdvisorColumns are the columns of an export of advisors, in their order.
var AdvisorColumns = []string{
	columnOpenID, columnUnionID, columnWechatID, columnExternalID, columnNickname, columnAvatarURL, columnGroups, columnState,
	"id", "presence", "customer_count", "invited_at", "answered_at",
}

// advisorColumns are those of an import: what an export has. Those that are read nowhere say nothing.
var advisorColumns = AdvisorColumns

// AdvisorRow is an advisor of a file. Empty fields say nothing: what is known already stays.
type AdvisorRow struct {
	OpenID, UnionID, WechatID, ExternalID Ident
	Nickname, AvatarURL                   string
	// Groups are names, each once; compared as names of groups are.
	Groups []string
	// State is what an export said of the advisor.
	State AdvisorState
}

// IsPassedOver reports whether an import leaves the row alone: an export said that this is nobody's advisor.
func (r *AdvisorRow) IsPassedOver() bool {
	switch r.State {
	case AdvisorRefused, AdvisorExpired, AdvisorRemoved:
		return true
	case AdvisorPending, AdvisorActive:
	}
	return false
}

// AdvisorRow reads a record of a file of advisors. INVALID for a state that is none, which names the column, and for too few
// or too many fields; the other cells are as they stand.
func (h ImportHeader) AdvisorRow(fields []string) (row AdvisorRow, err *Error) {
	get, err := h.cells(fields)
	if err != nil {
		return row, err
	}
	row = AdvisorRow{
		OpenID: Ident(get(columnOpenID)), UnionID: Ident(get(columnUnionID)), WechatID: Ident(get(columnWechatID)), ExternalID: Ident(get(columnExternalID)),
		Nickname: get(columnNickname), AvatarURL: get(columnAvatarURL), State: AdvisorState(strings.ToUpper(get(columnState))),
	}
	named := map[string]bool{}
	for _, name := range SplitNames(get(columnGroups)) {
		if !named[Fold(name)] {
			named[Fold(name)] = true
			row.Groups = append(row.Groups, name)
		}
	}
	if row.State != "" && !slices.Contains([]AdvisorState{AdvisorPending, AdvisorActive, AdvisorRefused, AdvisorExpired, AdvisorRemoved}, row.State) {
		return row, Invalid(columnState, "is no state of an advisor")
	}
	return row, nil
}

// namesEscaped writes what has a meaning in a list of names.
var namesEscaped = strings.NewReplacer(`\`, `\\`, `;`, `\;`)

// JoinNames is names as one cell of a file holds them: separated by `;`, with `\` before a `;` or `\` of a name.
func JoinNames(names []string) string {
	escaped := make([]string, len(names))
	for i, n := range names {
		escaped[i] = namesEscaped.Replace(n)
	}
	return strings.Join(escaped, ";")
}

// SplitNames takes apart what JoinNames joined, and what people write: names are trimmed and empty ones left out, and a `\` before
// anything else stands for itself.
func SplitNames(cell string) (names []string) {
	var name strings.Builder
	end := func() {
		if n := strings.TrimSpace(name.String()); n != "" {
			names = append(names, n)
		}
		name.Reset()
	}
	for i := 0; i < len(cell); i++ {
		switch c := cell[i]; {
		case c == '\\' && i+1 < len(cell) && (cell[i+1] == ';' || cell[i+1] == '\\'):
			i++
			name.WriteByte(cell[i])
		case c == ';':
			end()
		default:
			name.WriteByte(c)
		}
	}
	end()
	return names
}
