package store

import (
	"database/sql"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
)

// Advisors reads advisors by key; unknown ones are left out.
func (r *Reader) Advisors(account models.Key, keys []models.Key) ([]*models.Advisor, error) {
	return byKeys[models.Advisor](r, account, "id", keys)
}

// AdvisorIdent is a column that names an advisor from outside.
type AdvisorIdent string

// The columns that name an advisor.
const (
	AdvisorOpenID     AdvisorIdent = "openid"
	AdvisorUnionID    AdvisorIdent = "unionid"
	AdvisorWechatID   AdvisorIdent = "wechat_id"
	AdvisorExternalID AdvisorIdent = "external_id"
)

// AdvisorBy reads the advisor with this identifier.
func (r *Reader) AdvisorBy(account models.Key, column AdvisorIdent, value models.Ident) (*models.Advisor, error) {
	return first[models.Advisor](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND "+string(column)+" = ?", account, value)
	})
}

// AdvisorsByIdents reads the advisors with any of these identifiers, one statement a column.
func (r *Reader) AdvisorsByIdents(account models.Key, idents map[AdvisorIdent][]models.Ident) ([]*models.Advisor, error) {
	seen := map[models.Key]bool{}
	var all []*models.Advisor
	for _, column := range []AdvisorIdent{AdvisorOpenID, AdvisorUnionID, AdvisorWechatID, AdvisorExternalID} {
		if len(idents[column]) == 0 {
			continue
		}
		rows, err := find[models.Advisor](r, func(db *gorm.DB) *gorm.DB {
			return db.Where("account_id = ? AND "+string(column)+" IN ?", account, idents[column])
		})
		if err != nil {
			return nil, err
		}
		for _, a := range rows {
			if !seen[a.Key] {
				seen[a.Key] = true
				all = append(all, a)
			}
		}
	}
	return all, nil
}

// AdvisorPage reads a page of advisors, newest invitation first, in a state at now if one is given.
func (r *Reader) AdvisorPage(account models.Key, state models.AdvisorState, now models.Time, p relay.Page) ([]*models.Advisor, error) {
	return find[models.Advisor](r, func(db *gorm.DB) *gorm.DB {
		return keyset(inState(db.Where("account_id = ?", account), state, now), p, "invited_at", "id")
	})
}

// AdvisorsBehind reads up to most advisors by key upwards, behind one (zero: from the first), in a state at now if one is given. Whoever is there all the while
// stands in one of the pages, whatever becomes of them.
func (r *Reader) AdvisorsBehind(account models.Key, state models.AdvisorState, now models.Time, after models.Key, most int) ([]*models.Advisor, error) {
	return find[models.Advisor](r, func(db *gorm.DB) *gorm.DB {
		if db = db.Where("account_id = ?", account); !after.IsZero() {
			db = db.Where("id > ?", after)
		}
		return inState(db, state, now).Order("id").Limit(most)
	})
}

// inState narrows advisors to those in a state at now; all if it is empty.
func inState(db *gorm.DB, state models.AdvisorState, now models.Time) *gorm.DB {
	switch state {
	case "":
	case models.AdvisorPending:
		return db.Where("state = ? AND deadline > ?", state, now)
	case models.AdvisorExpired:
		return db.Where("(state = ? OR state = ? AND deadline <= ?)", state, models.AdvisorPending, now)
	case models.AdvisorActive, models.AdvisorRefused, models.AdvisorRemoved:
		return db.Where("state = ?", state)
	}
	return db
}

// CountAdvisors counts PENDING and ACTIVE advisors (rule B1).
func (r *Reader) CountAdvisors(account models.Key, now models.Time) (int, error) {
	n, err := scan[int](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Advisor{}).Select("COUNT(*)").
			Where("account_id = ? AND (state = ? OR state = ? AND deadline > ?)", account, models.AdvisorActive, models.AdvisorPending, now)
	})
	if err != nil || len(n) == 0 {
		return 0, err
	}
	return n[0], nil
}

// FreeAdvisors reads the keys of the account's ACTIVE advisors with room.
func (r *Reader) FreeAdvisors(account models.Key) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Advisor{}).Select("id").Order("id").
			Where("account_id = ? AND state = ? AND customer_count < ?", account, models.AdvisorActive, limits.CustomersPerAdvisor)
	})
}

// FreeMembers reads the keys of ACTIVE members with room, by group.
func (r *Reader) FreeMembers(account models.Key, groups []models.Key) (map[models.Key][]models.Key, error) {
	if len(groups) == 0 {
		return map[models.Key][]models.Key{}, nil
	}
	type row struct {
		GroupID   models.Key `gorm:"column:group_id"`
		AdvisorID models.Key `gorm:"column:advisor_id"`
	}
	rows, err := scan[row](r, func(db *gorm.DB) *gorm.DB {
		return db.Table("group_member m").Select("m.group_id, m.advisor_id").
			Joins("JOIN advisor a ON a.account_id = m.account_id AND a.id = m.advisor_id").
			Where("m.account_id = ? AND m.group_id IN ? AND a.state = ? AND a.customer_count < ?",
				account, groups, models.AdvisorActive, limits.CustomersPerAdvisor).
			Order("m.group_id, m.advisor_id")
	})
	free := make(map[models.Key][]models.Key, len(groups))
	for _, m := range rows {
		free[m.GroupID] = append(free[m.GroupID], m.AdvisorID)
	}
	return free, err
}

// StaffAmong reads which of these openids, and which of these unionids, belong to PENDING or ACTIVE advisors (rule E1:
// auto-assign and advertisements pass them over), each along its own index.
func (r *Reader) StaffAmong(account models.Key, openids, unionids []models.Ident, now models.Time) (map[models.Ident]bool, map[models.Ident]bool, error) {
	are := [2]map[models.Ident]bool{{}, {}}
	var parts []string
	var args []any
	for i, idents := range [2][]models.Ident{openids, unionids} {
		if len(idents) > 0 {
			column := [2]string{"openid", "unionid"}[i]
			parts = append(parts, fmt.Sprintf("SELECT %d, %s FROM advisor WHERE account_id = ? AND %s IN (%s) AND (state = ? OR state = ? AND deadline > ?)", i, column, column, marks(len(idents))))
			args = append(append(args, identArgs(account, idents)...), string(models.AdvisorActive), string(models.AdvisorPending), int64(now))
		}
	}
	if len(parts) == 0 {
		return are[0], are[1], nil
	}
	err := r.query(func(rows *sql.Rows) error {
		var i int
		var ident models.Ident
		err := rows.Scan(&i, &ident)
		are[i][ident] = true
		return err
	}, strings.Join(parts, " UNION ALL "), args...)
	return are[0], are[1], err
}

// LapsedInvitations reads PENDING advisors past their deadline, of any account: the sweep that
// records expiry takes each in a transaction of its account.
func (r *Reader) LapsedInvitations(now models.Time, most int) ([]*models.Advisor, error) {
	return find[models.Advisor](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("state = ? AND deadline <= ?", models.AdvisorPending, now).Order("deadline").Limit(most)
	})
}

// LockAdvisors reads and locks advisors by key, in key order.
func (tx *Tx) LockAdvisors(keys []models.Key) ([]*models.Advisor, error) {
	return locked[models.Advisor](tx, phaseAdvisors, "id", keys)
}

// InsertAdvisors writes new advisors with their streams; ErrDuplicate when an identifier is taken.
func (tx *Tx) InsertAdvisors(rows []*models.Advisor) error {
	if err := insert(tx, rows); err != nil {
		return err
	}
	streams := make([]*models.Stream, len(rows))
	for i, a := range rows {
		streams[i] = &models.Stream{AccountID: tx.Account, Key: a.Key}
	}
	return insert(tx, streams)
}

// UpdateAdvisors writes these columns of locked advisors.
func (tx *Tx) UpdateAdvisors(rows []*models.Advisor, columns ...string) error {
	for _, a := range rows {
		a.UpdatedAt = tx.Now
	}
	return upsert(tx, rows, append(columns, "updated_at")...)
}

// FreeExternalIDs takes the external ids of locked advisors away, so that the rows that this transaction writes next may have
// them in any order.
func (tx *Tx) FreeExternalIDs(keys []models.Key) error {
	if len(keys) == 0 {
		return nil
	}
	return translate(tx.db.Model(&models.Advisor{}).Where("account_id = ? AND id IN ?", tx.Account, keys).UpdateColumn("external_id", nil).Error)
}
