package server

import "github.com/vektah/gqlparser/v2/ast"

// comparing reckons what validation will do with a document before it does it. Fields that would be answered under one name are compared
// with one another, pair by pair, and so is what they select: the same field a thousand times, in fragments inside fragments or beside one
// another, is half a million pairs, and fragments that many operations spread are gone through for each. What is reckoned here is counted the
// way validation goes, so it grows as that does; but counting stops once there is nothing left, so this is never more than that many steps.
type comparing struct {
	left      int
	fragments map[string]*ast.FragmentDefinition
	gathered  map[*ast.Selection]*gathered // by the first of a set; no two sets begin with the same
	// with and both are what was compared: a set with a fragment, and two fragments.
	with map[*gathered]map[string]bool
	both map[[2]string]bool
}

// gathered is a selection set with its inline fragments put in place: fields by the name of their answer, and the names of its spreads.
type gathered struct {
	fields  map[string][]*ast.Field
	spreads []string
}

// visitSteps is what looking at one selection costs, in comparisons: each rule of validation looks at it.
const visitSteps = 5

// isComparable reports whether validation takes no more than so many steps for a document.
func isComparable(doc *ast.QueryDocument, steps int) bool {
	c := comparing{
		left: steps, fragments: make(map[string]*ast.FragmentDefinition, len(doc.Fragments)), gathered: map[*ast.Selection]*gathered{},
		with: map[*gathered]map[string]bool{}, both: map[[2]string]bool{},
	}
	for _, f := range doc.Fragments {
		if c.fragments[f.Name] == nil {
			c.fragments[f.Name] = f
		}
	}
	for _, op := range doc.Operations {
		c.within(op.SelectionSet)
		c.visit(op.SelectionSet, map[string]bool{}, true)
	}
	for _, f := range doc.Fragments {
		c.within(f.SelectionSet)
		c.visit(f.SelectionSet, map[string]bool{}, false)
	}
	return c.left >= 0
}

// spend takes steps, and reports whether there are any left.
func (c *comparing) spend(steps int) bool {
	c.left -= steps
	return c.left >= 0
}

// visit goes through what an operation or a fragment selects, each fragment once. Fields are compared for operations alone.
func (c *comparing) visit(set ast.SelectionSet, seen map[string]bool, inOperation bool) {
	for _, sel := range set {
		if !c.spend(visitSteps) {
			return
		}
		switch sel := sel.(type) {
		case *ast.Field:
			if inOperation {
				c.within(sel.SelectionSet)
			}
			c.visit(sel.SelectionSet, seen, inOperation)
		case *ast.InlineFragment:
			c.within(sel.SelectionSet)
			c.visit(sel.SelectionSet, seen, inOperation)
		case *ast.FragmentSpread:
			if f := c.fragments[sel.Name]; f != nil && !seen[sel.Name] {
				seen[sel.Name] = true
				c.visit(f.SelectionSet, seen, inOperation)
			}
		}
	}
}

func (c *comparing) gather(set ast.SelectionSet) *gathered {
	if len(set) == 0 {
		return &gathered{}
	}
	g := c.gathered[&set[0]]
	if g == nil {
		g = &gathered{fields: map[string][]*ast.Field{}}
		c.gatherInto(g, set)
		c.gathered[&set[0]] = g
	}
	return g
}

func (c *comparing) gatherInto(g *gathered, set ast.SelectionSet) {
	for _, sel := range set {
		if !c.spend(1) {
			return
		}
		switch sel := sel.(type) {
		case *ast.Field:
			g.fields[sel.Alias] = append(g.fields[sel.Alias], sel) // the parser gives a field without an alias its name
		case *ast.InlineFragment:
			c.gatherInto(g, sel.SelectionSet)
		case *ast.FragmentSpread:
			g.spreads = append(g.spreads, sel.Name)
		}
	}
}

// within compares a set with itself.
func (c *comparing) within(set ast.SelectionSet) {
	g := c.gather(set)
	for _, fields := range g.fields {
		for i, a := range fields {
			for _, b := range fields[i+1:] {
				c.pair(a, b)
				if c.left < 0 {
					return
				}
			}
		}
	}
	for i, name := range g.spreads {
		c.withFragment(g, name)
		for _, other := range g.spreads[i+1:] {
			c.bothFragments(name, other)
		}
	}
}

func (c *comparing) pair(a, b *ast.Field) {
	if !c.spend(1 + values(a.Arguments)) {
		return
	}
	if len(a.SelectionSet) == 0 || len(b.SelectionSet) == 0 {
		return
	}
	x, y := c.gather(a.SelectionSet), c.gather(b.SelectionSet)
	c.between(x, y)
	for _, name := range y.spreads {
		c.withFragment(x, name)
	}
	for _, name := range x.spreads {
		c.withFragment(y, name)
		for _, other := range y.spreads {
			c.bothFragments(name, other)
		}
	}
}

func (c *comparing) between(x, y *gathered) {
	if !c.spend(len(x.fields)) {
		return
	}
	for name, fields := range x.fields {
		for _, a := range fields {
			for _, b := range y.fields[name] {
				c.pair(a, b)
				if c.left < 0 {
					return
				}
			}
		}
	}
}

func (c *comparing) withFragment(g *gathered, name string) {
	f := c.fragments[name]
	if f == nil || c.with[g][name] || !c.spend(1) {
		return
	}
	if c.with[g] == nil {
		c.with[g] = map[string]bool{}
	}
	c.with[g][name] = true
	other := c.gather(f.SelectionSet)
	if other == g {
		return
	}
	c.between(g, other)
	for _, inner := range other.spreads {
		c.withFragment(g, inner)
	}
}

func (c *comparing) bothFragments(a, b string) {
	if a > b {
		a, b = b, a
	}
	f, g := c.fragments[a], c.fragments[b]
	if !c.spend(1) || f == nil || g == nil || a == b || c.both[[2]string{a, b}] {
		return
	}
	c.both[[2]string{a, b}] = true
	x, y := c.gather(f.SelectionSet), c.gather(g.SelectionSet)
	c.between(x, y)
	for _, inner := range y.spreads {
		c.bothFragments(a, inner)
	}
	for _, inner := range x.spreads {
		c.bothFragments(inner, b)
	}
}

// values counts the values in arguments.
func values(list ast.ArgumentList) (n int) {
	var count func(v *ast.Value)
	count = func(v *ast.Value) {
		n++
		for _, child := range v.Children {
			count(child.Value)
		}
	}
	for _, a := range list {
		if a.Value != nil {
			count(a.Value)
		}
	}
	return n
}
