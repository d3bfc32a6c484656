package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/migrations"
	"clientele/store"
)

// Ensure a fresh installation is all migrations, applied once.
func TestMigrateFresh(t *testing.T) {
	for name, empty := range map[string]func(testing.TB) string{"sqlite": testkit.EmptySQLite, "mysql": testkit.EmptyMySQL} {
		t.Run(name, func(t *testing.T) {
			s := testkit.Open(t, store.Options{DSN: empty(t), Relaxed: true})
			if err := s.Ready(t.Context()); err == nil {
				t.Error("an empty database is ready")
			}
			list, err := s.Migrations(t.Context())
			if err != nil {
				t.Fatalf("list before: %v", err)
			}
			for _, m := range list {
				if !m.AppliedAt.IsZero() {
					t.Errorf("%s was applied before it was", m.Name)
				}
			}
			n, err := s.Migrate(t.Context())
			if err != nil || n != len(list) || n == 0 {
				t.Fatalf("Migrate = %d, %v; want %d", n, err, len(list))
			}
			if err := s.Ready(t.Context()); err != nil {
				t.Errorf("not ready: %v", err)
			}
			if list, err = s.Migrations(t.Context()); err != nil {
				t.Fatalf("list: %v", err)
			}
			for i, m := range list {
				if m.AppliedAt.IsZero() || m.Version != int64(i+1) {
					t.Errorf("%d: %s was applied at %v", m.Version, m.Name, m.AppliedAt)
				}
			}
			epoch, err := s.Log().Epoch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n, err := s.Migrate(t.Context()); err != nil || n != 0 {
				t.Errorf("Migrate again = %d, %v", n, err)
			}
			if again, err := s.Log().Epoch(t.Context()); err != nil || again != epoch {
				t.Errorf("migrating again changed the epoch, %v", err)
			}
		})
	}
}

// Ensure nodes that start together take turns: each step is applied by one of them.
func TestMigrateTogether(t *testing.T) {
	dsn := testkit.EmptyMySQL(t)
	const nodes = 4
	done := make(chan error, nodes)
	applied := make(chan int, nodes)
	for range nodes {
		s := testkit.Open(t, store.Options{DSN: dsn})
		go func() {
			n, err := s.Migrate(context.WithoutCancel(t.Context()))
			applied <- n
			done <- err
		}()
	}
	sum := 0
	for range nodes {
		if err := testkit.Receive(t, done); err != nil {
			t.Error(err)
		}
		sum += testkit.Receive(t, applied)
	}
	if want := len(mustFiles(t, migrations.MySQL)); sum != want {
		t.Errorf("%d steps were applied, there are %d", sum, want)
	}
}

// Ensure a binary that is too old for the schema says so and does not start.
func TestNewerSchemaIsRefused(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		mustExec(t, s, "UPDATE schema_info SET min_binary = ?", migrations.Binary)
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("the binary's own number was refused: %v", err)
		}
		mustExec(t, s, "UPDATE schema_info SET min_binary = ?", migrations.Binary+1)
		if err := s.Ready(t.Context()); !errors.Is(err, migrations.ErrTooNew) {
			t.Errorf("Ready = %v, want ErrTooNew", err)
		}
	})
}

// Ensure the dialects have the same steps, tables and columns.
func TestDialectsAreEqual(t *testing.T) {
	my, lite := mustFiles(t, migrations.MySQL), mustFiles(t, migrations.SQLite)
	if !slices.Equal(my, lite) {
		t.Errorf("files differ:\nmysql  %v\nsqlite %v", my, lite)
	}
	columns := map[string][]string{}
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		columns[t.Name()] = mustColumns(t, s)
	})
	var first []string
	for name, all := range columns {
		if first == nil {
			first = all
		}
		if !slices.Equal(first, all) {
			t.Errorf("tables differ in %s:\n%v\n%v", name, first, all)
		}
	}
}

// mustColumns is every column of the product's tables, with whether it may be NULL.
func mustColumns(tb testing.TB, s *store.Store) []string {
	tb.Helper()
	query := `SELECT CONCAT(table_name, '.', column_name, ' ', is_nullable) FROM information_schema.columns
		WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%'`
	if s.IsEmbedded() {
		query = `SELECT t.name || '.' || c.name || ' ' || CASE WHEN c."notnull" THEN 'NO' ELSE 'YES' END FROM sqlite_schema t, pragma_table_info(t.name) c
			WHERE t.type = 'table' AND t.name NOT LIKE 'goose%' AND t.name NOT LIKE 'sqlite%'`
	}
	rows, err := mustSQL(tb, s).QueryContext(tb.Context(), query)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			tb.Fatal(err)
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil || len(all) < 100 {
		tb.Fatalf("%d columns, %v", len(all), err)
	}
	slices.Sort(all)
	return all
}

// Ensure the numbers of the schema are those of limits. VARCHAR counts characters, VARBINARY
// bytes; a column that holds bytes in a VARCHAR is as wide in characters, which is enough.
func TestColumnSizesAreLimits(t *testing.T) {
	for column, want := range map[string]int{
		"account.name":              limits.AccountNameRunes,
		"account.app_id":            limits.OpenIDBytes,
		"account.terms_version":     limits.TermsVersionBytes,
		"account.rules_version":     limits.TermsVersionBytes,
		"advisor.openid":            limits.OpenIDBytes,
		"advisor.unionid":           limits.OpenIDBytes,
		"advisor.wechat_id":         limits.WechatIDBytes,
		"advisor.external_id":       limits.ExternalIDBytes,
		"advisor.nickname":          limits.AdvisorNicknameRunes,
		"advisor.avatar_url":        limits.AvatarURLBytes,
		"advisor.rules_version":     limits.TermsVersionBytes,
		"advisor_group.name":        limits.GroupNameRunes,
		"qr_code.scene":             limits.SceneBytes,
		"inbound.scene":             limits.SceneBytes,
		"scan.scene":                limits.SceneBytes,
		"scan.label":                limits.CodeLabelRunes,
		"customer.openid":           limits.OpenIDBytes,
		"customer.unionid":          limits.OpenIDBytes,
		"customer.avatar_url":       limits.AvatarURLBytes,
		"customer.nickname":         limits.CustomerNicknameRunes,
		"tag.name":                  limits.TagNameRunes,
		"tag_option.name":           limits.TagNameRunes,
		"tag.folded_name":           4 * 20 * limits.TagNameRunes, // bytes
		"tag_option.folded_name":    4 * 20 * limits.TagNameRunes,
		"message.media_ref":         limits.MediaRefBytes,
		"message.url":               limits.MediaRefBytes,
		"idempotency.idem_key":      limits.IdempotencyKeyBytes,
		"revocation.name":           255, // auth.TokenIDBytes and auth.SubjectBytes
		"mass_send.send_key":        limits.IdempotencyKeyBytes,
		"advisor_group.folded_name": 20 * limits.GroupNameRunes, // NFKC makes up to 18 characters of one
	} {
		if got := mustSize(t, column); got != want {
			t.Errorf("%s holds %d, limits says %d", column, got, want)
		}
	}
	const textBytes = 1<<16 - 1 // MySQL's TEXT
	if limits.InboundTextBytes > textBytes || limits.TextBytes > limits.InboundTextBytes {
		t.Errorf("message.text holds %d bytes", textBytes)
	}
}

// Ensure what the database checks is what models and limits say.
func TestChecksAreConstants(t *testing.T) {
	want := map[string]string{
		"advisor.customer_count":     fmt.Sprintf("BETWEEN 0 AND %d", limits.CustomersPerAdvisor),
		"advisor_group.member_count": fmt.Sprintf("BETWEEN 0 AND %d", limits.AdvisorsPerGroup),
		"conversation.unread":        ">= 0",
		"stream.floor_seq":           "BETWEEN 0 AND head",
	}
	for column, name := range map[string]string{
		"account.channel":          "ChannelKind",
		"account.capability":       "Capability",
		"account.policy_preset":    "PolicyPreset",
		"account.outreach_carrier": "OutreachCarrier",
		"account.callback_mode":    "CallbackMode",
		"advisor.state":            "AdvisorState",
		"advisor.presence":         "Presence",
		"qr_code.kind":             "QRCodeKind",
		"violation.kind":           "ViolationKind",
		"revocation.kind":          "RevocationKind",
	} {
		want[column] = "IN ('" + strings.Join(testkit.Constants(t, "../models", name), "','") + "')"
	}
	for _, d := range []migrations.Dialect{migrations.MySQL, migrations.SQLite} {
		got := map[string]string{}
		for table, text := range mustTables(t, d) {
			for _, m := range regexp.MustCompile(`CONSTRAINT \S+ CHECK \((\w+) (.*)\),?\n`).FindAllStringSubmatch(text, -1) {
				got[table+"."+m[1]] = sortedList(m[2])
			}
		}
		for column, check := range want {
			if got[column] != check {
				t.Errorf("%s: %s is checked to be %q, want %q", d, column, got[column], check)
			}
		}
		for column, check := range got {
			if want[column] == "" {
				t.Errorf("%s: no row of this test explains that %s is checked to be %q", d, column, check)
			}
		}
	}
}

// sortedList is a check with the values of its list, if it has one, in order.
func sortedList(check string) string {
	inner, ok := strings.CutPrefix(check, "IN (")
	if !ok {
		return check
	}
	values := strings.Split(strings.TrimSuffix(inner, ")"), ",")
	slices.Sort(values)
	return "IN (" + strings.Join(values, ",") + ")"
}

// mustSize is the size of a column in both dialects, which must agree.
func mustSize(tb testing.TB, column string) int {
	tb.Helper()
	table, name, _ := strings.Cut(column, ".")
	size := func(d migrations.Dialect, pattern string) (n int) {
		m := regexp.MustCompile(pattern).FindStringSubmatch(mustTables(tb, d)[table])
		if m == nil {
			tb.Fatalf("%s: %s has no size", d, column)
		}
		_, err := fmt.Sscan(m[1], &n)
		if err != nil {
			tb.Fatal(err)
		}
		return n
	}
	my := size(migrations.MySQL, "`"+name+`. VAR(?:CHAR|BINARY)\((\d+)\)`)
	if lite := size(migrations.SQLite, `\n  "`+name+`" .*CHECK \(length\("`+name+`"\) <= (\d+)\)`); lite != my {
		tb.Errorf("%s holds %d in MySQL and %d in SQLite", column, my, lite)
	}
	return my
}

// mustTables is the text of each CREATE TABLE of a dialect, by table, with the columns that were added later.
func mustTables(tb testing.TB, d migrations.Dialect) map[string]string {
	tb.Helper()
	dir, err := migrations.Files(d)
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range mustFiles(tb, d) {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			tb.Fatal(err)
		}
		if m := regexp.MustCompile("CREATE TABLE [`\"](\\w+)").FindSubmatch(text); m != nil {
			all[string(m[1])] = string(text)
		}
		if m := regexp.MustCompile("ALTER TABLE [`\"](\\w+)[`\"] ADD COLUMN (.*);").FindSubmatch(text); m != nil {
			all[string(m[1])] += "\n  " + string(m[2]) + "\n"
		}
	}
	return all
}

func mustFiles(tb testing.TB, d migrations.Dialect) []string {
	tb.Helper()
	dir, err := migrations.Files(d)
	if err != nil {
		tb.Fatal(err)
	}
	files, err := fs.Glob(dir, "*")
	if err != nil || len(files) == 0 {
		tb.Fatalf("%v, %v", files, err)
	}
	return files
}

// Ensure the sessions are what the architecture says: strict values, UTC, and matched rows
// counted, whatever the server's defaults are.
func TestSessions(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	var mode, zone string
	var wait int
	row := mustSQL(t, s).QueryRowContext(t.Context(), "SELECT @@sql_mode, @@time_zone, @@innodb_lock_wait_timeout")
	if err := row.Scan(&mode, &zone, &wait); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(mode, "STRICT_ALL_TABLES") || zone != "+00:00" || wait != int(limits.LockWait.Seconds()) {
		t.Errorf("sql_mode %s, time_zone %s, lock wait %d", mode, zone, wait)
	}
	account := testkit.Account(t, s)
	for range 2 { // the second changes nothing and yet matches.
		result, err := mustSQL(t, s).ExecContext(t.Context(), "UPDATE account SET name = 'x' WHERE id = ?", account.Key)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			t.Errorf("%d rows matched, %v", n, err)
		}
	}
	var variable, level string
	row = mustSQL(t, s).QueryRowContext(t.Context(), "SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')")
	if err := row.Scan(&variable, &level); err != nil || level != "READ-COMMITTED" {
		t.Errorf("writes are isolated by %s, %v", level, err)
	}
}
