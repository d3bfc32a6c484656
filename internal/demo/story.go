package demo

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
)

// StepKind is what somebody does.
type StepKind string

// The kinds of steps.
const (
	// StepArrive: a customer follows for the first time, perhaps through Code.
	StepArrive StepKind = "arrive"
	// StepReturn: a customer who left follows again, perhaps through Code.
	StepReturn StepKind = "return"
	// StepLeave: a customer stops following.
	StepLeave StepKind = "leave"
	// StepScan: a follower scans Code.
	StepScan StepKind = "scan"
	// StepMenu: a follower clicks a menu item.
	StepMenu StepKind = "menu"
	// StepWrite: a follower writes Text.
	StepWrite StepKind = "write"
	// StepRead: the advisor who serves the customer reads the conversation.
	StepRead StepKind = "read"
	// StepAnswer: the advisor who serves the customer asks whether they may write, and writes Text.
	StepAnswer StepKind = "answer"
	// StepClose: Advisor closes the app, so that inquiries are notified (rule N3).
	StepClose StepKind = "close"
	// StepOpen: Advisor opens the app again.
	StepOpen StepKind = "open"
)

// Step is one thing that one person does. Who serves a customer that came through a group's code
// is drawn by the product (rule D3), so reading and answering name the customer alone.
type Step struct {
	Kind StepKind
	// Customer counts from 1; 0 for StepClose and StepOpen.
	Customer int
	// Advisor counts from 1; 0 for every other kind.
	Advisor int
	// Code is what is scanned: "advisor-1", "group-1" …; empty for none.
	Code string
	Text string
}

// The cast.
const (
	advisorCount = 5
	groupCount   = 2
)

// groupMembers is who belongs to a group, counted from 1. Advisor 3 belongs to both.
func groupMembers(group int) []int {
	if group == 1 {
		return []int{1, 2, 3}
	}
	return []int{3, 4, 5}
}

func advisorName(n int) string { return "advisor-" + strconv.Itoa(n) }
func groupName(n int) string   { return "group-" + strconv.Itoa(n) }

// serving is a set of advisors who may be the one that serves a customer: bit n for advisor n.
type serving uint8

func servedBy(code string) (by serving) {
	for n := 1; n <= advisorCount; n++ {
		if code == advisorName(n) {
			return 1 << n
		}
	}
	for g := 1; g <= groupCount; g++ {
		if code == groupName(g) {
			for _, n := range groupMembers(g) {
				by |= 1 << n
			}
		}
	}
	return by
}

// Streams of random numbers drawn from one seed.
const (
	streamStory = iota + 1
	streamArrival
	streamOpenID
)

func draw(seed int64, stream, n int) *rand.Rand {
	const streamBits = 56 // n stays far below 2^56.
	//nolint:gosec // a story that can be told again, no secret.
	return rand.New(rand.NewPCG(uint64(seed), uint64(stream)<<streamBits|uint64(n)))
}

// OpenID is the openid of a customer, in the platform's form: 28 characters that begin with o.
// Another seed makes other people.
func OpenID(seed int64, customer int) string {
	const (
		alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		length   = 28
	)
	rng := draw(seed, streamOpenID, customer)
	id := make([]byte, length)
	for i := range id {
		id[i] = alphabet[rng.IntN(len(alphabet))]
	}
	id[0] = 'o'
	return string(id)
}

// Arrival is how a customer comes for the first time. It depends on nothing that others do.
func Arrival(seed int64, customer int) Step {
	return Step{Kind: StepArrive, Customer: customer, Code: anyCode(draw(seed, streamArrival, customer))}
}

// anyCode is an advisor's code, a group's or none, in the proportions of a shop.
func anyCode(rng *rand.Rand) string {
	const percent, viaAdvisor, viaGroup = 100, 50, 80
	switch p := rng.IntN(percent); {
	case p < viaAdvisor:
		return advisorName(1 + rng.IntN(advisorCount))
	case p < viaGroup:
		return groupName(1 + rng.IntN(groupCount))
	default:
		return ""
	}
}

// Regulars is how many of the customers are there when the story begins: the first half.
func Regulars(customers int) int { return (customers + 1) / 2 }

// Story is what the customers and their advisors do, without end: the same steps for the same
// seed and number of customers. Its first Regulars(customers) steps are the arrivals of the
// regulars; soon after, one of the first advisor's writes. It is true to itself: who writes, scans or clicks follows, who is answered is served
// by somebody, and nobody answers while their app may be closed. customers below 1 is taken as 1.
func Story(seed int64, customers int) iter.Seq[Step] {
	customers = max(customers, 1)
	return func(yield func(Step) bool) {
		n := &narrator{seed: seed, rng: draw(seed, streamStory, 0), people: make([]person, customers+1)}
		for range Regulars(customers) {
			for _, s := range n.arrive() {
				if !yield(s) {
					return
				}
				n.told(s)
			}
		}
		// Who watches as the first advisor, as the README proposes, is not to wait for chance.
		if steps := n.talk(n.find(func(p person) bool { return p.by == 1<<1 })); len(steps) > 0 {
			n.add(steps)
		}
		for {
			if !yield(n.next()) {
				return
			}
		}
	}
}

// person is what the story knows of a customer.
type person struct {
	follows bool
	// busy: a scene has them.
	busy bool
	// by is who may serve them; none: nobody does.
	by serving
}

// scene is steps that follow each other; steps of other scenes may come between.
type scene struct {
	steps  []Step
	people []int
}

// narrator makes a story. What a scene changes is changed when the scene is made: until it is
// over, its customers are busy and take part in no other.
type narrator struct {
	seed    int64
	rng     *rand.Rand
	people  []person // people[0] is nobody
	arrived int
	// away is the advisor whose app is closed or about to be; 0: nobody's.
	away   int
	scenes []*scene
}

// scenesAtOnce is how many scenes go on at the same time.
const scenesAtOnce = 4

func (n *narrator) next() Step {
	for len(n.scenes) == 0 || len(n.scenes) < scenesAtOnce && n.oneIn(2) {
		steps := n.begin()
		if len(steps) == 0 {
			if len(n.scenes) == 0 {
				continue // a scene is always possible with somebody who is not busy
			}
			break
		}
		n.add(steps)
	}
	var ready []int
	for i, s := range n.scenes {
		if !n.mustWait(s.steps[0]) {
			ready = append(ready, i)
		}
	}
	// The scene that closed an app never waits, and without it nobody does.
	i := ready[n.rng.IntN(len(ready))]
	s := n.scenes[i]
	step := s.steps[0]
	s.steps = s.steps[1:]
	if len(s.steps) == 0 {
		n.scenes = slices.Delete(n.scenes, i, i+1)
		for _, c := range s.people {
			n.people[c].busy = false
		}
	}
	n.told(step)
	return step
}

func (n *narrator) told(s Step) {
	if s.Kind == StepOpen {
		n.away = 0
	}
}

// mustWait reports a step that needs an app which may be closed.
func (n *narrator) mustWait(s Step) bool {
	return n.away != 0 && (s.Kind == StepRead || s.Kind == StepAnswer) && n.people[s.Customer].by&(1<<n.away) != 0
}

func (n *narrator) add(steps []Step) {
	s := &scene{steps: steps}
	for _, step := range steps {
		if step.Customer != 0 {
			n.people[step.Customer].busy = true
			s.people = append(s.people, step.Customer)
		}
	}
	n.scenes = append(n.scenes, s)
}

// begin makes a scene, or nothing when what was drawn is not possible now.
func (n *narrator) begin() []Step {
	const percent, arrive, talk, mutter, menu, scan, leave, comeBack = 100, 22, 57, 63, 69, 80, 85, 90
	switch p := n.rng.IntN(percent); {
	case p < arrive:
		return n.arriveAndTalk()
	case p < talk:
		return n.talk(n.find(func(p person) bool { return p.follows && p.by != 0 }))
	case p < mutter:
		return n.mutter(n.find(func(p person) bool { return p.follows && p.by == 0 }))
	case p < menu:
		return n.menu(n.find(func(p person) bool { return p.follows }))
	case p < scan:
		return n.scan(n.find(func(p person) bool { return p.follows }))
	case p < leave:
		return n.leave(n.find(func(p person) bool { return p.follows }))
	case p < comeBack:
		return n.comeBack(n.find(func(p person) bool { return !p.follows }))
	default:
		return n.closeApp()
	}
}

// find is somebody who has arrived, is not busy and fits; 0 when nobody is.
func (n *narrator) find(fits func(person) bool) int {
	if n.arrived == 0 {
		return 0
	}
	start := n.rng.IntN(n.arrived)
	for i := range n.arrived {
		c := 1 + (start+i)%n.arrived
		if p := n.people[c]; !p.busy && fits(p) {
			return c
		}
	}
	return 0
}

func (n *narrator) oneIn(k int) bool { return n.rng.IntN(k) == 0 }

func (n *narrator) pick(texts []string) string { return texts[n.rng.IntN(len(texts))] }

func (n *narrator) arrive() []Step {
	if n.arrived == len(n.people)-1 {
		return nil
	}
	n.arrived++
	s := Arrival(n.seed, n.arrived)
	n.people[n.arrived] = person{follows: true, by: servedBy(s.Code)}
	return []Step{s}
}

func (n *narrator) arriveAndTalk() []Step {
	steps := n.arrive()
	if len(steps) == 0 || !n.oneIn(2) {
		return steps
	}
	if c := steps[0].Customer; n.people[c].by != 0 {
		return append(steps, n.talk(c)...)
	}
	return append(steps, n.mutter(n.arrived)...)
}

// talk is a question and its answer.
func (n *narrator) talk(c int) []Step {
	if c == 0 {
		return nil
	}
	about := topics()[n.rng.IntN(len(topics()))]
	var steps []Step
	if n.oneIn(3) {
		steps = append(steps, Step{Kind: StepWrite, Customer: c, Text: n.pick(greetings())})
	}
	steps = append(steps, Step{Kind: StepWrite, Customer: c, Text: n.pick(about.questions)},
		Step{Kind: StepRead, Customer: c}, Step{Kind: StepAnswer, Customer: c, Text: n.pick(about.answers)})
	if n.oneIn(2) {
		steps = append(steps, Step{Kind: StepWrite, Customer: c, Text: n.pick(thanks())}, Step{Kind: StepRead, Customer: c})
	}
	return steps
}

// mutter is a question of somebody whom nobody serves: it is recorded and not answered (rule E7).
func (n *narrator) mutter(c int) []Step {
	if c == 0 {
		return nil
	}
	about := topics()[n.rng.IntN(len(topics()))]
	return []Step{{Kind: StepWrite, Customer: c, Text: n.pick(about.questions)}}
}

func (n *narrator) menu(c int) []Step {
	if c == 0 {
		return nil
	}
	return []Step{{Kind: StepMenu, Customer: c}}
}

func (n *narrator) scan(c int) []Step {
	if c == 0 {
		return nil
	}
	code := anyCode(n.rng)
	if code == "" {
		code = groupName(1 + n.rng.IntN(groupCount))
	}
	if n.people[c].by == 0 {
		n.people[c].by = servedBy(code)
	}
	return []Step{{Kind: StepScan, Customer: c, Code: code}}
}

func (n *narrator) leave(c int) []Step {
	if c == 0 {
		return nil
	}
	n.people[c].follows = false
	return []Step{{Kind: StepLeave, Customer: c}}
}

// comeBack: a code decides who serves them now, else it is who served them before (rule E12).
func (n *narrator) comeBack(c int) []Step {
	if c == 0 {
		return nil
	}
	code := ""
	if n.oneIn(2) {
		code = anyCode(n.rng)
	}
	p := &n.people[c]
	p.follows = true
	if code != "" {
		// The former advisor stays in the set: whether the code or the past wins is the product's to say.
		p.by |= servedBy(code)
	}
	return []Step{{Kind: StepReturn, Customer: c, Code: code}}
}

// closeApp: an advisor closes the app, customers write, the advisor comes back and answers.
func (n *narrator) closeApp() []Step {
	if n.away != 0 {
		return nil
	}
	k := 1 + n.rng.IntN(advisorCount)
	const most = 3
	var who []int
	for range most {
		c := n.find(func(p person) bool { return p.follows && p.by == 1<<k })
		if c == 0 {
			break
		}
		n.people[c].busy = true // or the next look could find them again
		who = append(who, c)
	}
	if len(who) == 0 {
		return nil
	}
	n.away = k
	steps := []Step{{Kind: StepClose, Advisor: k}}
	var answers []Step
	for _, c := range who {
		about := topics()[n.rng.IntN(len(topics()))]
		if n.oneIn(2) {
			steps = append(steps, Step{Kind: StepWrite, Customer: c, Text: n.pick(greetings())})
		}
		steps = append(steps, Step{Kind: StepWrite, Customer: c, Text: n.pick(about.questions)})
		answers = append(answers, Step{Kind: StepRead, Customer: c}, Step{Kind: StepAnswer, Customer: c, Text: n.pick(about.answers)})
	}
	steps = append(steps, Step{Kind: StepOpen, Advisor: k})
	return append(steps, answers...)
}
