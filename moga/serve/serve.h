// `moga serve`: jobs on the disk, a worker that makes films, and an HTTP server for those who want them.
#pragma once

#include <functional>
#include <string>

#include "moga/serve/film_maker.h"
#include "moga/serve/job_queue.h"

namespace moga {

struct ServeConfig {
  std::string host = "127.0.0.1";
  int port = 8080;                   // 0: any that is free
  std::filesystem::path token_file;  // empty: none
  std::filesystem::path folder = "moga-serve";
  QueueLimits limits = {};
  int64_t most_tokens = 600'000;  // latent tokens of a film
};

// Throws one line when the settings are wrong. Call it before anything is loaded.
void check_serve(const ServeConfig& config);

// Until a signal: then a running job keeps its steps and waits for the next start. `ready`: called with the URL once
// requests are answered.
void serve(const ServeConfig& config, ServedModel model, const std::function<void(const std::string& url)>& ready);

}  // namespace moga
