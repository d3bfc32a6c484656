package store_test

import (
	"encoding/json"
	"slices"
	"testing"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure every column that may hold something of a person is in the erasure map, and nothing that is not
// there (rule E13): names of customers, texts, and bytes of any length.
func TestErasureMapIsComplete(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		query := `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%'
			AND (column_name = 'customer_id' OR data_type IN ('text', 'mediumtext', 'longtext', 'blob', 'mediumblob', 'longblob', 'varbinary')
			OR data_type = 'varchar' AND character_set_name <> 'ascii')`
		if s.IsEmbedded() {
			// What is ASCII there is told by nothing; the map is complete if it is on the other engine.
			query = `SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
				WHERE t.type = 'table' AND t.name NOT LIKE 'goose%' AND t.name NOT LIKE 'sqlite%' AND c.name = 'customer_id'`
		}
		rows, err := mustSQL(t, s).QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var found []string
		for rows.Next() {
			var table, column string
			if err := rows.Scan(&table, &column); err != nil {
				t.Fatal(err)
			}
			found = append(found, table+"."+column)
			if ofNobody[table] {
				continue
			}
			if store.ErasureMap[table][column] == "" {
				t.Errorf("the erasure map does not say what becomes of %s.%s", table, column)
			}
		}
		if err := rows.Err(); err != nil || len(found) < 10 {
			t.Fatalf("%d columns, %v", len(found), err)
		}
		if s.IsEmbedded() {
			return
		}
		for table, columns := range store.ErasureMap {
			for column := range columns {
				if !slices.Contains(found, table+"."+column) {
					t.Errorf("the erasure map tells of %s.%s, which is no such column", table, column)
				}
			}
		}
	})
}

// ofNobody is the tables in which no customer, and nothing that a person wrote, can be.
var ofNobody = map[string]bool{
	"advisor_group": true, "group_member": true, "qr_code": true, "violation": true, "log_epoch": true, "schema_info": true, "revocation": true,
	"sweep": true, "tag": true, "tag_option": true, "sandbox": true, "outbound_gate": true, "mass_send": true, "node": true, "app_lease": true, "stream": true,
}

// Ensure a name goes out of what a job was asked for however JSON writes it, and no other name does.
func TestErasedNamesGoOutOfJobs(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		names := []models.Ident{"plain", "plainer", `<a&b>`, `quo"te`, `back\slash`}
		listed, err := json.Marshal(map[string]any{"openids": names})
		if err != nil {
			t.Fatal(err)
		}
		job := &models.Job{AccountID: account.Key, Key: models.NewKey(), Kind: models.JobAssignCustomers, State: models.JobRunning, Parameters: string(listed)}
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			if err := tx.InsertJob(job); err != nil {
				return err
			}
			return tx.EraseNames("plain", `<a&b>`, `quo"te`, `back\slash`)
		})
		rows, err := s.View(t.Context()).Jobs(account.Key, []models.Key{job.Key})
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d jobs, %v", len(rows), err)
		}
		if want := `{"openids":["ERASED","plainer","ERASED","ERASED","ERASED"]}`; rows[0].Parameters != want {
			t.Errorf("the job says %s, want %s", rows[0].Parameters, want)
		}
	})
}
