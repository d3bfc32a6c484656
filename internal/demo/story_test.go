package demo_test

import (
	"slices"
	"strings"
	"testing"

	"clientele/internal/demo"
)

func story(seed int64, customers, steps int) []demo.Step {
	var all []demo.Step
	for s := range demo.Story(seed, customers) {
		if len(all) == steps {
			break
		}
		all = append(all, s)
	}
	return all
}

// Ensure a seed is a story: the same people do and say the same things in the same order.
func TestStoryFollowsItsSeed(t *testing.T) {
	const steps = 20_000
	first := story(7, 200, steps)
	if !slices.Equal(first, story(7, 200, steps)) {
		t.Error("one seed told two stories")
	}
	if slices.Equal(first, story(8, 200, steps)) {
		t.Error("two seeds told one story")
	}
	if again := demo.OpenID(7, 1); demo.OpenID(7, 1) != again || again == demo.OpenID(8, 1) {
		t.Error("the people do not follow the seed")
	}
	people := map[string]bool{}
	for n := range 1_000 {
		id := demo.OpenID(7, n)
		if len(id) != 28 || id[0] != 'o' {
			t.Fatalf("openid %q", id)
		}
		people[id] = true
	}
	if len(people) != 1_000 {
		t.Errorf("%d openids for 1,000 people", len(people))
	}
}

// Ensure a story begins with the arrivals that do not depend on it.
func TestStoryBeginsWithTheRegulars(t *testing.T) {
	for _, customers := range []int{1, 2, 3, 200} {
		for i, s := range story(3, customers, demo.Regulars(customers)) {
			if s != demo.Arrival(3, i+1) {
				t.Errorf("%d customers: step %d is %+v", customers, i, s)
			}
		}
	}
}

// Ensure whoever watches the first advisor soon sees somebody write, whatever the seed.
func TestStoryBeginsWithTheFirstAdvisor(t *testing.T) {
	const customers, soon = 40, 20
	for seed := range int64(50) {
		mine := map[int]bool{}
		wrote := false
		for _, s := range story(seed, customers, demo.Regulars(customers)+soon) {
			if s.Kind == demo.StepArrive && s.Code == "advisor-1" {
				mine[s.Customer] = true
			}
			wrote = wrote || s.Kind == demo.StepWrite && mine[s.Customer]
		}
		if len(mine) > 0 && !wrote {
			t.Errorf("seed %d: nobody wrote to the first advisor", seed)
		}
	}
}

// Ensure a story has all kinds of steps, and many texts.
func TestStoryIsVaried(t *testing.T) {
	kinds := map[demo.StepKind]int{}
	texts, codes, advisors := map[string]bool{}, map[string]bool{}, map[int]bool{}
	for _, s := range story(1, 200, 3_000) {
		kinds[s.Kind]++
		codes[s.Code] = true
		if s.Text != "" {
			texts[s.Text] = true
		}
		if s.Kind == demo.StepClose {
			advisors[s.Advisor] = true
		}
	}
	for _, k := range []demo.StepKind{
		demo.StepArrive, demo.StepReturn, demo.StepLeave, demo.StepScan, demo.StepMenu, demo.StepWrite,
		demo.StepRead, demo.StepAnswer, demo.StepClose, demo.StepOpen,
	} {
		if kinds[k] < 10 {
			t.Errorf("%q is done %d times", k, kinds[k])
		}
	}
	if len(texts) < 50 || len(codes) != 8 || len(advisors) != 5 {
		t.Errorf("%d texts, %d codes, %d advisors who close the app", len(texts), len(codes), len(advisors))
	}
	if kinds[demo.StepArrive] != 200 {
		t.Errorf("%d of 200 arrived", kinds[demo.StepArrive])
	}
}

// teller checks a story against what the product knows of those in it.
type teller struct {
	arrived int
	follows map[int]bool
	// by is the names of all who may serve a customer.
	by   map[int][]string
	away int
}

// members is who a code may lead to.
func members(code string) []string {
	switch code {
	case "group-1":
		return []string{"advisor-1", "advisor-2", "advisor-3"}
	case "group-2":
		return []string{"advisor-3", "advisor-4", "advisor-5"}
	case "":
		return nil
	}
	return []string{code}
}

func (k *teller) check(s demo.Step) (fault string) {
	c := s.Customer
	switch s.Kind {
	case demo.StepArrive:
		k.arrived++
		if _, known := k.follows[c]; known {
			return "arrives twice"
		}
		k.follows[c], k.by[c] = true, members(s.Code)
	case demo.StepReturn:
		if follows, known := k.follows[c]; !known || follows {
			return "returns without having left"
		}
		k.follows[c], k.by[c] = true, append(slices.Clone(k.by[c]), members(s.Code)...)
	case demo.StepLeave:
		if !k.follows[c] {
			return "leaves without following"
		}
		k.follows[c] = false
	case demo.StepScan, demo.StepMenu, demo.StepWrite:
		if !k.follows[c] {
			return "does not follow"
		}
		if (s.Kind == demo.StepScan) != (s.Code != "") || (s.Kind == demo.StepWrite) != (strings.TrimSpace(s.Text) != "") {
			return "has the wrong things with them"
		}
		if s.Kind == demo.StepScan && len(k.by[c]) == 0 {
			k.by[c] = members(s.Code)
		}
	case demo.StepRead, demo.StepAnswer:
		if !k.follows[c] || len(k.by[c]) == 0 {
			return "is served by nobody"
		}
		if k.away != 0 && slices.Contains(k.by[c], advisorName(k.away)) {
			return "is served by somebody whose app is closed"
		}
	case demo.StepClose:
		if k.away != 0 {
			return "closes an app while one is closed"
		}
		k.away = s.Advisor
	case demo.StepOpen:
		if k.away != s.Advisor {
			return "opens an app that is open"
		}
		k.away = 0
	}
	return ""
}

// Ensure a story is true to itself, with many customers and with few.
func TestStoryIsConsistent(t *testing.T) {
	for _, customers := range []int{1, 2, 5, 40, 200} {
		for seed := int64(-2); seed < 5; seed++ {
			k := &teller{follows: map[int]bool{}, by: map[int][]string{}}
			for i, s := range story(seed, customers, 4_000) {
				if fault := k.check(s); fault != "" {
					t.Fatalf("seed %d, %d customers, step %d %+v: %s", seed, customers, i, s, fault)
				}
			}
			if k.arrived != customers {
				t.Errorf("seed %d: %d of %d arrived", seed, k.arrived, customers)
			}
		}
	}
}
