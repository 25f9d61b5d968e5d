// What the tests of the server share: a script, and a queue with a worker that needs no model.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/serve/worker.h"

namespace moga::test {

inline Script small_script(const std::string& title = "T") {
  Script script;
  script.title = title;
  script.size = {48, 32};
  script.shot = {Shot{"Mara waves.", std::nullopt, 9}};
  return script;
}

inline JobView submit(JobQueue& queue, const std::string& title = "T", const std::string& key = "") {
  return queue.submit(small_script(title), 9, {}, key).view;
}

inline JobStatus status_of(const JobQueue& queue, const std::string& id) { return queue.find(id)->job.status; }

// Waits until `holds`, for ten seconds at most.
inline bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 1000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return holds();
}

// Writes the title as the film. A job named "slow" takes until it is stopped, one named "bad" fails.
inline void stand_in(const Job& job, const JobFiles& files,
                     const std::function<void(const std::function<void(JobProgress&)>&)>& report) {
  report([](JobProgress& progress) { progress = {"denoise", "step", 1, 4, 0.5, 1}; });
  write_text(files.preview, "JPEG");
  while (job.script.title == "slow") {
    stop_if_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (job.script.title == "bad") throw Error("the weights are bad\nin line 2");
  write_text(files.sheet, "PNG");
  write_text(files.film, job.script.title);
}

// A worker in a thread of its own, until the end of the scope.
class Working {
 public:
  explicit Working(JobQueue& queue, MakeFilm make = stand_in)
      : queue_(queue), thread_([&queue, make] { work(queue, make); }) {}
  ~Working() {
    set_interrupted(true);
    queue_.close();
    thread_.join();
    set_interrupted(false);
  }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  JobQueue& queue_;
  std::thread thread_;
};

}  // namespace moga::test
