package services

import (
	"context"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// messages deletes what is older than an account keeps messages for (rule G11, ADR 0039), account by account. The
// last message of a conversation stays, and what has yet to be sent.
func (p *pass) messages(ctx context.Context) error {
	return p.accounts(ctx, func(a *models.Account) error {
		at, err := p.s.store.View(ctx).MessageSweep(a.Key)
		if err != nil {
			return err
		}
		sweep := &messageSweep{pass: p, at: at, before: p.now.Add(-a.MessageRetention() - limits.ClockSkew)}
		if err := sweep.again(ctx); err != nil {
			return err
		}
		return sweep.onward(ctx)
	})
}

// messageSweep goes along an account's messages in the order of their keys, which is nearly that in which they were
// stored; nothing relies on it.
type messageSweep struct {
	pass   *pass
	at     *models.MessageSweep
	before models.Time
}

// onward goes on from where the passes before this one came to, until it finds a batch without an old message.
func (m *messageSweep) onward(ctx context.Context) error {
	place, behind := m.at.UpTo, true
	for {
		rows, err := m.read(ctx, place)
		if err != nil || len(rows) == 0 {
			return err
		}
		old := false
		for i := range rows {
			old = old || rows[i].CreatedAt < m.before
			if behind = behind && rows[i].CreatedAt < m.before; behind {
				m.at.UpTo = rows[i].Key
			}
		}
		if !old {
			return nil
		}
		if err := m.remove(ctx, rows, true); err != nil {
			return err
		}
		if len(rows) < limits.RetentionRows {
			return nil
		}
		place = rows[len(rows)-1].Key
	}
}

// again looks once more at what lies behind: a message that was its conversation's last is so no longer, one that
// waited has left, and an import put others there. It does limits.RetentionAgain batches and goes on from there in
// the next pass.
func (m *messageSweep) again(ctx context.Context) error {
	for range limits.RetentionAgain {
		if !m.at.Again.Less(m.at.UpTo) {
			break
		}
		rows, err := m.read(ctx, m.at.Again)
		if err != nil {
			return err
		}
		n := 0
		for n < len(rows) && !m.at.UpTo.Less(rows[n].Key) {
			n++
		}
		was := m.at.Again
		if n == limits.RetentionRows {
			m.at.Again = rows[n-1].Key
		} else {
			m.at.Again = models.Key{}
		}
		if err := m.remove(ctx, rows[:n], was != m.at.Again); err != nil {
			return err
		}
		if m.at.Again.IsZero() {
			break
		}
	}
	return nil
}

func (m *messageSweep) read(ctx context.Context, after models.Key) ([]store.AgedMessage, error) {
	return m.pass.s.store.View(ctx).AgedMessages(m.at.AccountID, after, limits.RetentionRows)
}

// remove deletes those of the rows that are old and that nothing keeps, in one transaction, which also keeps where
// the sweep is; none when it has not moved and nothing goes.
func (m *messageSweep) remove(ctx context.Context, rows []store.AgedMessage, moved bool) error {
	var gone []models.Key
	for i := range rows {
		if r := &rows[i]; r.CreatedAt < m.before && !r.IsLast && r.Status != models.StatusQueued {
			gone = append(gone, r.Key)
		}
	}
	if len(gone) == 0 && !moved {
		return nil
	}
	var n int
	err := m.pass.write(ctx, m.at.AccountID, func(tx *store.Tx) (err error) {
		if n, err = tx.DeleteMessages(gone); err != nil {
			return err
		}
		return tx.KeepMessageSweep(m.at)
	})
	if err != nil {
		return err
	}
	m.pass.done.Messages += n
	return m.pass.pause(ctx)
}
