package store

import (
	"cmp"
	"slices"

	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/models"
)

// Groups reads groups by key; unknown ones are left out.
func (r *Reader) Groups(account models.Key, keys []models.Key) ([]*models.Group, error) {
	return byKeys[models.Group](r, account, "id", keys)
}

// GroupPage reads a page of groups, newest first.
func (r *Reader) GroupPage(account models.Key, p relay.Page) ([]*models.Group, error) {
	return find[models.Group](r, func(db *gorm.DB) *gorm.DB {
		return keyset(db.Where("account_id = ?", account), p, "created_at", "id")
	})
}

// AllGroups reads the account's groups, at most limits.GroupsPerAccount.
func (r *Reader) AllGroups(account models.Key) ([]*models.Group, error) {
	return ask[models.Group](r, "SELECT * FROM advisor_group WHERE account_id = ?", account[:])
}

// CountGroups counts the account's groups (rule D1).
func (r *Reader) CountGroups(account models.Key) (int64, error) {
	defer r.lock()()
	var n int64
	err := r.db.Model(&models.Group{}).Where("account_id = ?", account).Count(&n).Error
	return n, translate(err)
}

// Members reads the members of groups.
func (r *Reader) Members(account models.Key, groups []models.Key) ([]*models.GroupMember, error) {
	return byKeys[models.GroupMember](r, account, "group_id", groups)
}

// Memberships reads the memberships of advisors.
func (r *Reader) Memberships(account models.Key, advisors []models.Key) ([]*models.GroupMember, error) {
	return byKeys[models.GroupMember](r, account, "advisor_id", advisors)
}

// GroupAdvisorPage reads a page of a group's members, by key downwards.
func (r *Reader) GroupAdvisorPage(account, group models.Key, p relay.Page) ([]*models.Advisor, error) {
	return find[models.Advisor](r, func(db *gorm.DB) *gorm.DB {
		db = db.Joins("JOIN group_member m ON m.account_id = advisor.account_id AND m.advisor_id = advisor.id").
			Where("m.account_id = ? AND m.group_id = ?", account, group).Select("advisor.*")
		if p.After != nil {
			db = db.Where("m.advisor_id < ?", models.Key(p.After.Key))
		}
		return db.Order("m.advisor_id DESC").Limit(p.First + 1)
	})
}

// GroupsByAdvisors reads the groups that advisors belong to, by name, in two statements.
func (r *Reader) GroupsByAdvisors(account models.Key, advisors []models.Key) (map[models.Key]*models.GroupList, error) {
	lists := make(map[models.Key]*models.GroupList, len(advisors))
	members, err := r.Memberships(account, advisors)
	if err != nil || len(members) == 0 {
		return lists, err
	}
	keys := make([]models.Key, len(members))
	for i, m := range members {
		keys[i] = m.GroupID
	}
	groups, err := r.Groups(account, sorted(keys))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(groups, func(a, b *models.Group) int { return cmp.Compare(a.FoldedName, b.FoldedName) })
	in := map[models.Key]map[models.Key]bool{}
	for _, m := range members {
		if in[m.GroupID] == nil {
			in[m.GroupID] = map[models.Key]bool{}
		}
		in[m.GroupID][m.AdvisorID] = true
	}
	for _, g := range groups {
		for advisor := range in[g.Key] {
			if lists[advisor] == nil {
				lists[advisor] = &models.GroupList{}
			}
			lists[advisor].Groups = append(lists[advisor].Groups, g)
		}
	}
	return lists, nil
}

// LockGroups reads and locks groups by key.
func (tx *Tx) LockGroups(keys []models.Key) ([]*models.Group, error) {
	return locked[models.Group](tx, phaseGroups, "id", keys)
}

// LockGroupsOf reads and locks the groups that an advisor belongs to.
func (tx *Tx) LockGroupsOf(advisor models.Key) ([]*models.Group, error) {
	members, err := tx.Memberships(tx.Account, []models.Key{advisor})
	if err != nil {
		return nil, err
	}
	keys := make([]models.Key, len(members))
	for i, m := range members {
		keys[i] = m.GroupID
	}
	return tx.LockGroups(keys)
}

// InsertGroup writes a new group; ErrDuplicate when the name is taken.
func (tx *Tx) InsertGroup(g *models.Group) error { return insert(tx, []*models.Group{g}) }

// InsertMembers adds members to locked groups and writes the groups' counts.
func (tx *Tx) InsertMembers(groups []*models.Group, members []*models.GroupMember) error {
	if err := insert(tx, members); err != nil {
		return err
	}
	for _, g := range groups {
		g.UpdatedAt = tx.Now
	}
	return upsert(tx, groups, "member_count", "updated_at")
}

// DeleteMembers takes members out of a locked group and writes its count.
func (tx *Tx) DeleteMembers(g *models.Group, advisors []models.Key) error {
	tx.enter(phaseRows)
	if len(advisors) > 0 {
		err := tx.db.Where("account_id = ? AND group_id = ? AND advisor_id IN ?", tx.Account, g.Key, sorted(advisors)).Delete(&models.GroupMember{}).Error
		if err != nil {
			return translate(err)
		}
	}
	g.UpdatedAt = tx.Now
	return upsert(tx, []*models.Group{g}, "member_count", "updated_at")
}

// LeaveGroups takes an advisor out of locked groups and writes the groups' counts, in two statements.
func (tx *Tx) LeaveGroups(groups []*models.Group, advisor models.Key) error {
	tx.enter(phaseRows)
	keys := make([]models.Key, len(groups))
	for i, g := range groups {
		keys[i] = g.Key
		g.MemberCount--
		g.UpdatedAt = tx.Now
	}
	if len(keys) == 0 {
		return nil
	}
	err := tx.exec("DELETE FROM group_member WHERE account_id = ? AND group_id IN ("+marks(len(keys))+") AND advisor_id = ?",
		append(keyArgs(tx.Account, keys), advisor[:]))
	if err != nil {
		return err
	}
	return upsert(tx, groups, "member_count", "updated_at")
}

// UpdateGroup writes the name of a locked group; ErrDuplicate when it is taken.
func (tx *Tx) UpdateGroup(g *models.Group) error {
	tx.enter(phaseGroups)
	g.UpdatedAt = tx.Now
	return translate(tx.db.Model(g).Where("account_id = ? AND id = ?", tx.Account, g.Key).
		Updates(map[string]any{"name": g.Name, "folded_name": g.FoldedName, "updated_at": g.UpdatedAt}).Error)
}

// DeleteGroup deletes a locked group with its memberships.
func (tx *Tx) DeleteGroup(g *models.Group) error {
	tx.enter(phaseRows)
	if err := translate(tx.db.Where("account_id = ? AND group_id = ?", tx.Account, g.Key).Delete(&models.GroupMember{}).Error); err != nil {
		return err
	}
	return translate(tx.db.Where("account_id = ? AND id = ?", tx.Account, g.Key).Delete(&models.Group{}).Error)
}
