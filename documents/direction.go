package documents

import (
	"slices"
	"strings"
	"unicode"
)

// visual puts a line of text into the order in which it stands on the page, from left
// to right. A stretch that runs from right to left, with the numbers, spaces and marks
// within it, is turned around; numbers keep their own direction, and each mark stays
// behind its letter. That is the bidirectional algorithm for a line in which the two
// directions are not nested, as names and addresses are.
func visual(line string) string {
	if strings.IndexFunc(line, rightToLeft) < 0 {
		return line
	}
	clusters := clustersOf(joined([]rune(line)))
	for from := 0; from < len(clusters); from++ {
		if !rightToLeft(clusters[from][0]) {
			continue
		}
		last := from
		for i := from; i < len(clusters) && !leftToRight(clusters[i][0]); i++ {
			if rightToLeft(clusters[i][0]) {
				last = i
			}
		}
		turn(clusters[from : last+1])
		from = last
	}
	var text []rune
	for _, c := range clusters {
		text = append(text, c...)
	}
	return string(text)
}

// clustersOf keeps marks with the letter that they are set on.
func clustersOf(text []rune) [][]rune {
	var clusters [][]rune
	for _, r := range text {
		if len(clusters) > 0 && unicode.Is(unicode.M, r) {
			clusters[len(clusters)-1] = append(clusters[len(clusters)-1], r)
			continue
		}
		clusters = append(clusters, []rune{r})
	}
	return clusters
}

// turn turns a stretch around, but not the numbers in it.
func turn(stretch [][]rune) {
	slices.Reverse(stretch)
	for from := 0; from < len(stretch); from++ {
		to := from
		for to < len(stretch) && inNumber(stretch, to) {
			to++
		}
		if to > from {
			slices.Reverse(stretch[from:to])
			from = to - 1
			continue
		}
		if mirrored, ok := mirrors[stretch[from][0]]; ok {
			stretch[from][0] = mirrored
		}
	}
}

// inNumber says whether the cluster is a digit, or stands between two of them.
func inNumber(stretch [][]rune, at int) bool {
	if unicode.IsDigit(stretch[at][0]) {
		return true
	}
	return at > 0 && at+1 < len(stretch) && unicode.In(stretch[at][0], unicode.Po, unicode.Pd) &&
		unicode.IsDigit(stretch[at-1][0]) && unicode.IsDigit(stretch[at+1][0])
}

var mirrors = map[rune]rune{'(': ')', ')': '(', '[': ']', ']': '[', '{': '}', '}': '{', '<': '>', '>': '<', '«': '»', '»': '«'}

var rightToLeftLetters = table(0x0590, 0x08ff, 0xfb1d, 0xfdff, 0xfe70, 0xfeff)

func rightToLeft(r rune) bool {
	return unicode.Is(rightToLeftLetters, r) && unicode.IsLetter(r)
}

func leftToRight(r rune) bool { return unicode.IsLetter(r) && !rightToLeft(r) }
