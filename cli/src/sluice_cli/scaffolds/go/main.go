// Policy flags texts that hold one of the settings' words.
package main

import (
	"slices"
	"strings"
)

type settings struct {
	Words []string `json:"words"`
}

type input struct {
	Text     string   `json:"text"`
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

func evaluate(asked input) output {
	found := []span{}
	for _, word := range asked.Settings.Words {
		if start := strings.Index(asked.Text, word); start >= 0 {
			found = append(found, span{start, start + len(word)})
		}
	}
	if len(found) == 0 {
		return output{"allow", "", found, []string{}}
	}
	return output{"flag", "holds a listed word", found, []string{"listed-word"}}
}

func validate(given settings) validity {
	if slices.Contains(given.Words, "") {
		return validity{Message: "words: one is empty"}
	}
	return validity{Valid: true}
}
