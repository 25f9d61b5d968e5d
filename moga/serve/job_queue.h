// The jobs in memory, for several threads: those that serve requests and the worker. Each change is on the disk
// (job_store.h) before a client hears of it.
//
// Jobs wait in the order of their submission; one runs at a time. Of those that ended, the newest `kept` stay.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "moga/serve/job_store.h"

namespace moga {

struct QueueLimits {
  int64_t waiting = 100;  // jobs that wait or run
  int64_t kept = 100;     // jobs that ended
};

// A job as it is at one moment. `version` grows with every change.
struct JobView {
  Job job;
  JobProgress progress;
  int64_t position = 0;  // 1: the next one; 0: does not wait
  uint64_t version = 0;
};

enum class Removal { kCancelled, kRemoved };

class JobQueue {
 public:
  // Takes over the jobs of the store: those that wait, and those that ran when the program ended, are worked on again.
  // Throws when they wait for another model than `model`.
  JobQueue(const std::filesystem::path& folder, QueueLimits limits, const std::string& model);

  // Returns the new job, or the one that the same `key` has submitted before. Throws ApiError when the queue is full,
  // or the key belongs to another script.
  struct Submitted {
    JobView view;
    bool is_new = true;
  };
  Submitted submit(const Script& script, int64_t frames, const std::map<std::string, std::string>& pictures,
                   const std::string& key);

  std::optional<JobView> find(const std::string& id) const;
  std::vector<JobView> all() const;  // in order of submission
  // Cancels a job that waits or runs, removes one that ended. Throws ApiError when there is no such job, or a cancelled
  // one has not stopped yet.
  Removal remove(const std::string& id);
  // The job once its version is not `seen`, at the latest after `longest`; nothing when it is gone.
  std::optional<JobView> wait_for_change(const std::string& id, uint64_t seen, std::chrono::milliseconds longest) const;

  // For the worker. take() waits for a job and marks it as running; nothing once the queue is closed.
  std::optional<Job> take();
  const std::atomic<bool>& stop_flag() const { return stop_; }  // the running job was cancelled
  void report(const std::string& id, const std::function<void(JobProgress&)>& change);
  void complete(const std::string& id);
  void fail(const std::string& id, const std::string& message);
  void stopped(const std::string& id);  // by stop_flag(), or because the program ends: then it waits again

  void close();  // take() and wait_for_change() return at once
  bool closed() const;
  JobFiles files_of(const std::string& id) const { return store_.files_of(id); }

 private:
  struct Entry {
    Job job;
    JobProgress progress;
    uint64_t version = 0;
  };
  JobView view(const Entry& entry) const;
  int64_t waiting() const;
  void check_same_model(const std::string& model) const;
  void take_over(Job job);
  void end(const std::string& id, JobStatus status, const std::string& error);
  void save(const JobRecord& job);
  void remove_oldest();
  void changed(Entry& entry);
  const Job* with_key(const std::string& key) const;
  Job new_job(const Script& script, int64_t frames, const std::string& key);

  QueueLimits limits_;
  std::string model_;
  JobStore store_;
  std::mutex submitting_;  // one submission at a time; taken before mutex_
  mutable std::mutex mutex_;
  mutable std::condition_variable change_;
  std::map<std::string, Entry> entries_;  // by id
  std::string running_;                   // id; empty: none
  std::atomic<bool> stop_{false};
  bool closed_ = false;
  int64_t next_number_ = 1;
};

}  // namespace moga
