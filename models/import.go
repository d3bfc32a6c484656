package models

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"clientele/internal/relay"
	"clientele/limits"
)

// ImportKind is what a file holds.
type ImportKind string

// The kinds of files.
const (
	ImportCustomers ImportKind = "CUSTOMERS" // rule E11
	ImportAdvisors  ImportKind = "ADVISORS"  // rule B7
	ImportMessages  ImportKind = "MESSAGES"  // rule E11
)

// Job is the kind of the jobs that read such files.
func (k ImportKind) Job() JobKind {
	switch k {
	case ImportAdvisors:
		return JobImportAdvisors
	case ImportMessages:
		return JobImportMessages
	case ImportCustomers:
	}
	return JobImportCustomers
}

// Import is a file that is being uploaded or worked at (rules B7, E11). It is forgotten with its job,
// or limits.ImportLife after its last part when none was started.
type Import struct {
	AccountID Key        `gorm:"column:account_id;primaryKey"`
	Key       Key        `gorm:"column:id;primaryKey"`
	Kind      ImportKind `gorm:"column:kind"`
	By        string     `gorm:"column:made_by"` // role and subject of who began it
	Size      int64      `gorm:"column:size"`    // bytes so far
	// Census is JSON: what is known of the bytes so far.
	Census string `gorm:"column:census"`
	JobID  Key    `gorm:"column:job_id"` // zero: not started
	// DeletedAt is when it was given up; nobody is shown it any more.
	DeletedAt Time `gorm:"column:deleted_at"`
	// Records is how many records there are so far, the header apart.
	Records   int64 `gorm:"-"`
	CreatedAt Time  `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt Time  `gorm:"column:updated_at;autoUpdateTime:false"` // of the last part
}

// TableName names the table for the mapper.
func (Import) TableName() string { return "import" }

// ID is the import's global id.
func (i *Import) ID() relay.ID { return relay.ID{Kind: KindImport, Key: i.Key} }

// ExpiresAt is when it is forgotten unless it is gone on with; zero once it was started.
func (i *Import) ExpiresAt() Time {
	if !i.JobID.IsZero() {
		return 0
	}
	return i.UpdatedAt.Add(limits.ImportLife)
}

// ImportPart is some bytes of a file, as they were uploaded together.
type ImportPart struct {
	AccountID Key    `gorm:"column:account_id;primaryKey"`
	ImportID  Key    `gorm:"column:import_id;primaryKey"`
	Begins    int64  `gorm:"column:begins;primaryKey"` // the place of the first byte in the file
	Data      []byte `gorm:"column:data"`
}

// TableName names the table for the mapper.
func (ImportPart) TableName() string { return "import_part" }

// The columns of a file of customers (rule E11).
const (
	columnOpenID     = "openid"
	columnUnionID    = "unionid"
	columnNickname   = "nickname"
	columnInfo       = "info"
	columnCountry    = "country"
	columnProvince   = "province"
	columnCity       = "city"
	columnTags       = "tags"
	columnFollowedAt = "followed_at"
	columnSource     = "source"
	columnLabel      = "label"
	columnBoundAt    = "bound_at"
	// The advisor by one of their names.
	columnAdvisorID       = "advisor_id"
	columnAdvisorOpenID   = "advisor_openid"
	columnAdvisorUnionID  = "advisor_unionid"
	columnAdvisorWechatID = "advisor_wechat_id"
	columnAdvisorExternal = "advisor_external_id"
)

var importColumns = []string{
	columnOpenID, columnUnionID, columnNickname, columnAvatarURL, columnInfo, columnCountry, columnProvince, columnCity, columnTags, columnFollowedAt,
	columnSource, columnLabel, columnBoundAt, columnAdvisorID, columnAdvisorOpenID, columnAdvisorUnionID, columnAdvisorWechatID, columnAdvisorExternal,
}

// ImportHeader is which column of a file holds what.
type ImportHeader map[string]int

// NewImportHeader reads the first record of a file of a kind: names of columns in any order and case. INVALID, at field,
// for one that is unknown or stands twice, or when none of those is there that say who somebody is.
func NewImportHeader(kind ImportKind, fields []string, field string) (ImportHeader, *Error) {
	columns, who := importColumns, []string{columnOpenID}
	if kind == ImportAdvisors {
		columns, who = advisorColumns, []string{columnOpenID, columnUnionID, columnWechatID}
	}
	h := ImportHeader{}
	for i, f := range fields {
		name := strings.ToLower(strings.TrimSpace(f))
		if !slices.Contains(columns, name) {
			return nil, Invalid(field, "column %d of the header is none of: %s", i+1, strings.Join(columns, ", "))
		}
		if _, twice := h[name]; twice {
			return nil, Invalid(field, "the column %s stands twice in the header", name)
		}
		h[name] = i
	}
	for _, name := range who {
		if _, has := h[name]; has {
			return h, nil
		}
	}
	return nil, Invalid(field, "the header has no column %s", strings.Join(who, ", and none of "))
}

// cells is a record by the names of its columns; empty for one that the file has not. INVALID unless it has as many fields as
// the header.
func (h ImportHeader) cells(fields []string) (func(column string) string, *Error) {
	if len(fields) != len(h) {
		return nil, Invalid("", "has %d fields, the header %d", len(fields), len(h))
	}
	return func(column string) string {
		if i, has := h[column]; has {
			return strings.TrimSpace(fields[i])
		}
		return ""
	}, nil
}

// ImportAdvisor names an advisor by at most one of its fields.
type ImportAdvisor struct {
	Key                                   Key
	OpenID, UnionID, WechatID, ExternalID Ident
}

// IsZero reports whether it names nobody.
func (a ImportAdvisor) IsZero() bool { return a == ImportAdvisor{} }

// Column is the column by which it names somebody; empty: none.
func (a ImportAdvisor) Column() string {
	switch {
	case !a.Key.IsZero():
		return columnAdvisorID
	case a.OpenID != "":
		return columnAdvisorOpenID
	case a.UnionID != "":
		return columnAdvisorUnionID
	case a.WechatID != "":
		return columnAdvisorWechatID
	case a.ExternalID != "":
		return columnAdvisorExternal
	}
	return ""
}

// ImportRow is one customer of a file. Empty fields say nothing: what is known already stays.
type ImportRow struct {
	OpenID, UnionID Ident
	Nickname        string
	AvatarURL       string
	Info            []string
	Region          Region
	Tags            []string // texts of options
	FollowedAt      Time
	Advisor         ImportAdvisor
	Source          BindingSource // API unless the file says
	Label           string        // of the binding
	BoundAt         Time
}

// Row reads a record. Times without an offset are of zone; none may lie after now. Errors are INVALID and
// name the column.
func (h ImportHeader) Row(fields []string, zone *time.Location, now Time) (row ImportRow, err *Error) {
	get, err := h.cells(fields)
	if err != nil {
		return row, err
	}
	row = ImportRow{
		OpenID: Ident(get(columnOpenID)), UnionID: Ident(get(columnUnionID)), Nickname: get(columnNickname), AvatarURL: get(columnAvatarURL),
		Region: Region{Country: get(columnCountry), Province: get(columnProvince), City: get(columnCity)},
		Source: SourceAPI,
	}
	if row.OpenID == "" {
		return row, Invalid(columnOpenID, "is empty")
	}
	for column, ident := range map[string]Ident{columnOpenID: row.OpenID, columnUnionID: row.UnionID} {
		if ident != "" {
			if err := CheckIdent(string(ident), column, limits.OpenIDBytes); err != nil {
				return row, AsItemError(err)
			}
		}
	}
	if info := get(columnInfo); info != "" {
		row.Info = strings.Split(strings.ReplaceAll(info, "\r\n", "\n"), "\n")
	}
	for tag := range strings.SplitSeq(get(columnTags), ";") {
		if tag = strings.TrimSpace(tag); tag != "" {
			row.Tags = append(row.Tags, tag)
		}
	}
	if source := get(columnSource); source != "" {
		if row.Source = BindingSource(strings.ToUpper(source)); !row.Source.Valid() {
			return row, Invalid(columnSource, "is no source of bindings")
		}
	}
	if row.Label = get(columnLabel); row.Label != "" {
		label, bad := CheckName(row.Label, columnLabel, limits.CodeLabelRunes)
		if bad != nil {
			return row, AsItemError(bad)
		}
		row.Label = label
	}
	if row.Advisor, err = readAdvisor(get); err != nil {
		return row, err
	}
	if row.FollowedAt, err = importTime(get(columnFollowedAt), columnFollowedAt, zone, now); err != nil {
		return row, err
	}
	row.BoundAt, err = importTime(get(columnBoundAt), columnBoundAt, zone, now)
	return row, err
}

// readAdvisor reads whom the columns for advisors name.
func readAdvisor(get func(string) string) (a ImportAdvisor, err *Error) {
	names := 0
	for _, n := range []struct {
		column string
		into   *Ident
	}{
		{columnAdvisorID, nil},
		{columnAdvisorOpenID, &a.OpenID},
		{columnAdvisorUnionID, &a.UnionID},
		{columnAdvisorWechatID, &a.WechatID},
		{columnAdvisorExternal, &a.ExternalID},
	} {
		text := get(n.column)
		if text == "" {
			continue
		}
		if names++; names > 1 {
			return a, Invalid(n.column, "the advisor is named twice")
		}
		if n.into == nil {
			id, ok := relay.ParseID(text)
			if !ok || id.Kind != KindAdvisor {
				return a, Invalid(n.column, "is no id of an advisor")
			}
			a.Key = id.Key
			continue
		}
		if err := CheckIdent(text, n.column, limits.OpenIDBytes); err != nil {
			return a, AsItemError(err)
		}
		*n.into = Ident(text)
	}
	return a, nil
}

// importLayouts are how files write instants, besides RFC 3339.
var importLayouts = []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2"}

func importTime(text, column string, zone *time.Location, now Time) (Time, *Error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	for i := 0; err != nil && i < len(importLayouts); i++ {
		t, err = time.ParseInLocation(importLayouts[i], text, zone)
	}
	if err != nil {
		return 0, Invalid(column, "is no time such as 2026-01-31 08:00:00 or 2026-01-31T08:00:00+08:00")
	}
	if at := At(t); at <= now && t.Year() >= 2000 {
		return at, nil
	}
	return 0, Invalid(column, "is not between the year 2000 and now")
}

// OfRecord is the error with the number of the record that it is about.
func (e *Error) OfRecord(number int64) *Error {
	told := *e
	told.Message = fmt.Sprintf("record %d: %s", number, e.Message)
	return &told
}
