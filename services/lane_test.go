package services

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"clientele/limits"
	"clientele/models"
)

// desk is where the lanes of a test write: each batch waits there until it is let go.
type desk struct {
	*lanes
	begun chan []*inboundItem
	done  chan struct{}
	stop  context.CancelFunc
}

func newDesk(t *testing.T, most int) *desk {
	d := &desk{begun: make(chan []*inboundItem, 100), done: make(chan struct{})}
	d.lanes = newLanes(most, func(_ context.Context, _ models.Key, items []*inboundItem) {
		d.begun <- items
		<-d.done
	})
	ctx, stop := context.WithCancel(t.Context())
	d.stop = stop
	go d.run(ctx)
	synctest.Wait()
	return d
}

// come puts n items of customers of their own, numbered from first on.
func (d *desk) come(t *testing.T, account models.Key, first, n int) []*inboundItem {
	t.Helper()
	items := make([]*inboundItem, n)
	for i := range items {
		items[i] = &inboundItem{account: account, done: make(chan struct{}), in: models.Inbound{OpenID: fmt.Sprint("o", first+i)}}
		if err := d.put(items[i]); err != nil {
			t.Fatal(err)
		}
	}
	return items
}

// batches is the sizes of the batches that were begun since the last call.
func (d *desk) batches() (sizes []int) {
	synctest.Wait()
	for {
		select {
		case b := <-d.begun:
			sizes = append(sizes, len(b))
		default:
			slices.Sort(sizes) // those that begin together are told in any order
			return sizes
		}
	}
}

func (d *desk) want(t *testing.T, what string, sizes ...int) {
	t.Helper()
	if got := d.batches(); fmt.Sprint(got) != fmt.Sprint(sizes) {
		t.Errorf("%s: batches of %v were begun, want %v", what, got, sizes)
	}
}

// end lets n transactions end and stops the lanes.
func (d *desk) end() {
	d.stop()
	close(d.done)
	synctest.Wait()
}

// Ensure few items go one transaction after the other, many beside each other, and none waits
// longer than limits.LaneWait for that.
func TestLanes(t *testing.T) {
	account := models.NewKey()
	t.Run("the first goes at once, what comes meanwhile goes together", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 4)
			d.come(t, account, 0, 1)
			d.want(t, "the first", 1)
			d.come(t, account, 1, limits.LaneBatch-1)
			d.want(t, "too few to begin beside it")
			d.done <- struct{}{}
			d.want(t, "those together", limits.LaneBatch-1)
			d.end()
		})
	})
	t.Run("enough begin beside another", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 2)
			d.come(t, account, 0, 1)
			d.come(t, account, 1, limits.LaneBatch)
			d.want(t, "beside the first", 1, limits.LaneBatch)
			d.come(t, account, 1_000, 2*limits.BatchRows)
			d.want(t, "not more than so many")
			d.done <- struct{}{}
			d.want(t, "a full one", limits.BatchRows)
			d.end()
		})
	})
	t.Run("nobody waits long for one that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 4)
			d.come(t, account, 0, 1)
			d.come(t, account, 1, 1)
			d.want(t, "the first", 1)
			time.Sleep(limits.LaneWait - 1) // the clock of this bubble
			d.want(t, "not yet")
			time.Sleep(time.Nanosecond)
			d.want(t, "beside it", 1)
			d.end()
		})
	})
	t.Run("an owner's items keep their order and their one transaction", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 4)
			first := d.come(t, account, 0, 1)
			again := d.come(t, account, 0, 1)
			other := models.NewKey()
			d.come(t, other, 1, limits.LaneBatch-1) // with the one that waits, enough
			d.want(t, "the other account's beside it", 1, limits.LaneBatch-1)
			time.Sleep(2 * limits.LaneWait)
			d.want(t, "the same customer's waits")
			d.done <- struct{}{}
			d.done <- struct{}{}
			d.want(t, "and follows", 1)
			select {
			case <-first[0].done:
			default:
				t.Error("the first is not answered")
			}
			select {
			case <-again[0].done:
				t.Error("the second is answered before it is written")
			default:
			}
			d.end()
			<-again[0].done
		})
	})
	t.Run("a batch is of one account", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 1)
			d.come(t, account, 0, 1)
			d.come(t, account, 1, 2)
			d.come(t, models.NewKey(), 1, 3)
			d.come(t, account, 9, 4)
			d.want(t, "the first", 1)
			d.done <- struct{}{}
			d.want(t, "its account's", 6)
			d.done <- struct{}{}
			d.want(t, "the other's", 3)
			d.end()
		})
	})
	t.Run("what was accepted is written, and then nothing more is taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 1)
			items := d.come(t, account, 0, 3)
			d.end()
			for _, it := range items {
				<-it.done
			}
			if err := d.put(&inboundItem{account: account}); models.CodeOf(err) != models.CodeUnavailable {
				t.Errorf("after the stop: %v", err)
			}
		})
	})
	t.Run("so many wait and not one more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 2)
			d.come(t, account, 0, 1)
			d.want(t, "the first", 1)
			d.come(t, account, 1, limits.LaneBatch)
			d.want(t, "the second", limits.LaneBatch)
			d.come(t, account, 1_000, 2*limits.LaneQueue)
			if err := d.put(&inboundItem{account: account}); models.CodeOf(err) != models.CodeUnavailable {
				t.Errorf("one more: %v", err)
			}
			d.end()
		})
	})
}
