#include "moga/serve/events.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "moga/serve/api_error.h"

namespace moga {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLongestWait{500}, kBetweenEvents{100};
constexpr std::chrono::seconds kSilence{15};  // then a comment keeps proxies from closing the connection

std::atomic<int> listeners{0};

std::string event(const std::string& name, const nlohmann::json& data) {
  return "event: " + name + "\ndata: " + data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n\n";
}

const char* name_of_event(JobStatus status) { return status == JobStatus::kInProgress ? "progress" : name_of(status); }

// One client that listens to one job.
class Listener {
 public:
  Listener(const JobQueue& queue, std::string id) : queue_(queue), id_(std::move(id)) {
    if (++listeners <= kMostListeners) return;
    --listeners;
    throw ApiError(503, "too_many_listeners", "too many clients listen to events; ask for the status instead");
  }
  ~Listener() { --listeners; }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Sends what is new, or waits for a moment. False: the client has gone.
  bool send(httplib::DataSink& sink) {
    const auto view = queue_.wait_for_change(id_, seen_, kLongestWait);
    if (!view) return end(sink, event("removed", {{"id", id_}}));
    if (view->version == seen_) {
      if (queue_.closed()) return end(sink, "");
      if (Clock::now() - sent_ >= kSilence) return write(sink, ": still there\n\n");
      return sink.is_writable();
    }
    seen_ = view->version;
    std::string text = event(name_of_event(view->job.status), public_job(view->job, view->progress, view->position));
    if (view->progress.previews > previews_) {
      previews_ = view->progress.previews;
      text += event("preview", {{"number", previews_}, {"url", "/v1/videos/" + id_ + "/preview"}});
    }
    if (!view->job.waits()) return end(sink, text);
    return write(sink, text) && pause();
  }

 private:
  bool write(httplib::DataSink& sink, const std::string& text) {
    sent_ = Clock::now();
    return sink.write(text.data(), text.size());
  }
  bool end(httplib::DataSink& sink, const std::string& text) {
    if (!text.empty() && !write(sink, text)) return false;
    sink.done();
    return true;
  }
  static bool pause() {
    std::this_thread::sleep_for(kBetweenEvents);
    return true;
  }

  const JobQueue& queue_;
  std::string id_;
  uint64_t seen_ = UINT64_MAX;
  int64_t previews_ = 0;
  Clock::time_point sent_ = Clock::now();
};

}  // namespace

void send_events(const JobQueue& queue, const std::string& id, httplib::Response& response) {
  const auto listener = std::make_shared<Listener>(queue, id);
  response.set_header("X-Accel-Buffering", "no");  // nginx passes events on at once
  response.set_chunked_content_provider(
      "text/event-stream", [listener](size_t offset, httplib::DataSink& sink) { return listener->send(sink); });
}

}  // namespace moga
