// Policy ticket-scope keeps a tenant's questions to the tenant's own tickets.
//
// Settings: `projects`, by tenant (`*` for all others) the keys of its projects, as `ACM` in the ticket `ACM-17`;
// `missing`, what a question without any of its tickets leads to: `allow`, `flag` or `block`.
//
// A ticket of a project that only other tenants have is blocked. What looks like a ticket of no project at all, such
// as `UTF-8`, is none.
package main

import "slices"

type settings struct {
	Projects map[string][]string `json:"projects"`
	Missing  string              `json:"missing"`
}

type input struct {
	Text     string   `json:"text"`
	Tenant   string   `json:"tenant"`
	Settings settings `json:"settings"`
}

type span struct {
	Start int `json:"start"` // bytes of UTF-8, as Go counts them
	End   int `json:"end"`
}

type output struct {
	Action string   `json:"action"`
	Reason string   `json:"reason"`
	Spans  []span   `json:"spans"`
	Labels []string `json:"labels"`
}

type validity struct {
	Valid   bool   `json:"valid"`
	Message string `json:"message"`
}

// The most spans that an answer may hold.
const maxSpans = 256

func evaluate(asked input) output {
	own, known := asked.Settings.Projects[asked.Tenant]
	if !known {
		own = asked.Settings.Projects["*"]
	}
	foreign := []span{}
	named := false
	for _, ticket := range tickets(asked.Text) {
		switch {
		case slices.Contains(own, ticket.project):
			named = true
		case anyone(asked.Settings.Projects, ticket.project) && len(foreign) < maxSpans:
			foreign = append(foreign, ticket.span)
		}
	}
	if len(foreign) > 0 {
		return output{"block", "asks about another tenant's ticket", foreign, []string{"foreign-ticket"}}
	}
	if !named && asked.Settings.Missing != "" && asked.Settings.Missing != "allow" {
		return output{asked.Settings.Missing, "names no ticket", foreign, []string{"no-ticket"}}
	}
	return output{"allow", "", foreign, []string{}}
}

func anyone(projects map[string][]string, project string) bool {
	for _, keys := range projects {
		if slices.Contains(keys, project) {
			return true
		}
	}
	return false
}

func validate(given settings) validity {
	if len(given.Projects) == 0 {
		return validity{Message: "projects: name at least one tenant's"}
	}
	for tenant, keys := range given.Projects {
		for _, key := range keys {
			if !isKey(key) {
				return validity{Message: "projects." + tenant + ": a key is 2 to 10 capitals and digits, a capital first"}
			}
		}
	}
	if !slices.Contains([]string{"", "allow", "flag", "block"}, given.Missing) {
		return validity{Message: "missing: allow, flag or block"}
	}
	return validity{Valid: true}
}

type ticket struct {
	span
	project string
}

// tickets finds what is written like a ticket: a key, a hyphen, digits. Small letters are taken for capitals.
func tickets(text string) []ticket {
	found := []ticket{}
	for at := 0; at < len(text); {
		if !isWord(text[at]) {
			at++
			continue
		}
		end := at
		for end < len(text) && isWord(text[end]) {
			end++
		}
		digits := end
		if digits < len(text) && text[digits] == '-' {
			for digits++; digits < len(text) && text[digits] >= '0' && text[digits] <= '9'; {
				digits++
			}
		}
		whole := digits > end+1 && (digits == len(text) || !isWord(text[digits]))
		if key := upper(text[at:end]); whole && isKey(key) {
			found = append(found, ticket{span{at, digits}, key})
			at = digits
		} else {
			at = end
		}
	}
	return found
}

func isKey(key string) bool {
	for i := 0; i < len(key); i++ {
		capital, digit := key[i] >= 'A' && key[i] <= 'Z', key[i] >= '0' && key[i] <= '9'
		if !capital && !(digit && i > 0) {
			return false
		}
	}
	return len(key) >= 2 && len(key) <= 10
}

// isWord tells what a word is made of; the bytes of all that is not ASCII too.
func isWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b >= 0x80
}

func upper(word string) string {
	letters := []byte(word)
	for i, b := range letters {
		if b >= 'a' && b <= 'z' {
			letters[i] = b - 32
		}
	}
	return string(letters)
}
