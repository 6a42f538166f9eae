package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/paystage/paystage/gateway"
)

// routes are those of the API in front of those of Paystage.
func routes(admission *gateway.Admission, paystage http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", paystage)
	mux.HandleFunc("GET /v1/models", admission.ListModels)
	mux.Handle("POST /v1/chat/completions", admission.Middleware(gateway.JSONModel(maxRequest))(http.HandlerFunc(echo)))
	return mux
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type choice struct {
	Index        int     `json:"index"`
	Message      message `json:"message"`
	FinishReason string  `json:"finish_reason"`
}

type completion struct {
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
}

// echo answers a chat with its last message.
func echo(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Model    string    `json:"model"`
		Messages []message `json:"messages"`
	}
	// The middleware has parsed the body before; messages of another form are none.
	_ = json.NewDecoder(r.Body).Decode(&asked)
	answer := completion{Object: "chat.completion", Created: time.Now().Unix(), Model: asked.Model, Choices: []choice{{
		Message: message{Role: "assistant"}, FinishReason: "stop",
	}}}
	if n := len(asked.Messages); n > 0 {
		answer.Choices[0].Message.Content = asked.Messages[n-1].Content
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone is all that can fail here
}
