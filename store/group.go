package store

import (
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

// LockGroups reads and locks groups by key.
func (tx *Tx) LockGroups(keys []models.Key) ([]*models.Group, error) {
	return locked[models.Group](tx, phaseGroups, "id", keys)
}

// InsertGroup writes a new group; ErrDuplicate when the name is taken.
func (tx *Tx) InsertGroup(g *models.Group) error { return insert(tx, []*models.Group{g}) }

// InsertMembers adds members to a locked group and writes its count.
func (tx *Tx) InsertMembers(g *models.Group, members []*models.GroupMember) error {
	if err := insert(tx, members); err != nil {
		return err
	}
	g.UpdatedAt = tx.Now
	return upsert(tx, []*models.Group{g}, "member_count", "updated_at")
}
