package store

import (
	"context"

	"clientele/models"
)

// InsertTicket writes a ticket. It belongs to no account: whose it is stands in it.
func (s *Store) InsertTicket(ctx context.Context, t *models.Ticket) error {
	return translate(s.write.WithContext(ctx).Create(t).Error)
}

// TakeTicket reads a ticket and deletes it: of all who come with the same one, on whatever node, one gets it. ErrNotFound for the others, and
// where there is none.
func (s *Store) TakeTicket(ctx context.Context, digest []byte) (*models.Ticket, error) {
	var rows []models.Ticket
	db := s.write.WithContext(ctx)
	if err := db.Where(&models.Ticket{Digest: digest}).Limit(1).Find(&rows).Error; err != nil {
		return nil, translate(err)
	}
	if len(rows) == 0 {
		return nil, ErrNotFound
	}
	done := db.Where(&models.Ticket{Digest: digest}).Delete(&models.Ticket{})
	if done.Error != nil || done.RowsAffected != 1 {
		if done.Error != nil {
			return nil, translate(done.Error)
		}
		return nil, ErrNotFound
	}
	return &rows[0], nil
}

// DeleteTickets deletes at most so many tickets that lapsed before an instant, and answers how many.
func (s *Store) DeleteTickets(ctx context.Context, before models.Time, most int) (int, error) {
	var old []models.Ticket
	err := s.read.WithContext(ctx).Select("digest").Where("expires_at < ?", before).Order("expires_at").Limit(most).Find(&old).Error
	if err != nil || len(old) == 0 {
		return 0, translate(err)
	}
	return len(old), translate(s.write.WithContext(ctx).Delete(&old).Error)
}
