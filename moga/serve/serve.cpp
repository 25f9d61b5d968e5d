#include "moga/serve/serve.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/video/video.h"
#include "moga/serve/access.h"
#include "moga/serve/bounded_server.h"
#include "moga/serve/routes.h"

namespace moga {
namespace {

constexpr std::chrono::milliseconds kLook{100};  // between two looks at whether a signal has come

std::string url_of(const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port) + "/";
}

RequestRules rules_of(const FilmMaker& maker, const ServeConfig& config) {
  RequestRules rules;
  rules.model = maker.model().name;
  rules.pixels = maker.model().configs.pixels_per_token();
  rules.size = maker.size();
  rules.most_tokens = config.most_tokens;
  rules.check = [&maker](const Script& script) { maker.check(script); };
  return rules;
}

void log_jobs(const JobQueue& queue) {
  int64_t waiting = 0, others = 0;
  for (const JobView& view : queue.all()) ++(view.job.waits() ? waiting : others);
  if (waiting + others > 0) log_info("found ", waiting, " jobs that wait and ", others, " that ended");
}

}  // namespace

void check_serve(const ServeConfig& config) {
  check(is_loopback(config.host) || !config.token_file.empty(), "--host ", config.host,
        " can be reached from other machines; give a --token-file, without which anybody could use the server");
  check(config.port >= 0 && config.port <= 65535, "--port is ", config.port, ", expected 0 to 65535");
  check_video_path(config.folder / "film.mp4");
}

void serve(const ServeConfig& config, ServedModel model, const std::function<void(const std::string& url)>& ready) {
  check_serve(config);
  const Access access(config.token_file.empty() ? "" : load_token(config.token_file));
  FilmMaker maker(std::move(model));
  JobQueue queue(config.folder, config.limits, maker.model().name);
  log_jobs(queue);
  const RequestRules rules = rules_of(maker, config);
  Routes routes(queue, access, rules);
  BoundedServer server;
  routes.add_to(server);
  const int port = server.bind(config.host, config.port);
  std::thread worker([&] {
    work(queue, [&](const Job& job, const JobFiles& files, const auto& report) { maker.make(job, files, report); });
  });
  std::atomic<bool> listening{true};
  std::thread listener([&] {
    server.listen_after_bind();
    listening = false;
  });
  while (listening && !server.is_running()) std::this_thread::yield();  // stop() before would be lost
  ready(url_of(config.host, port));
  while (!interrupted() && listening) std::this_thread::sleep_for(kLook);
  log_info("stopping");
  queue.close();
  server.stop();
  listener.join();
  worker.join();
  check(interrupted(), "the server stopped listening");
}

}  // namespace moga
