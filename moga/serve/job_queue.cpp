#include "moga/serve/job_queue.h"

#include <algorithm>
#include <ctime>

#include "moga/core/check.h"
#include "moga/core/log.h"
#include "moga/data/script_json.h"
#include "moga/serve/api_error.h"

namespace moga {
namespace {

int64_t now() { return static_cast<int64_t>(std::time(nullptr)); }

[[noreturn]] void no_such_job(const std::string& id) {
  throw ApiError(404, "video_not_found", is_job_id(id) ? "there is no video " + id : "that is no id of a video");
}

}  // namespace

JobQueue::JobQueue(const std::filesystem::path& folder, QueueLimits limits, const std::string& model)
    : limits_(limits), model_(model), store_(folder) {
  for (Job& job : store_.load()) take_over(std::move(job));
  check_same_model(model);
  remove_oldest();
}

// A job that another model would generate is a mistake of whoever started the program.
void JobQueue::check_same_model(const std::string& model) const {
  for (const auto& [id, entry] : entries_)
    check(!entry.job.waits() || entry.job.model == model, store_.folder_of(id).string(), ": waits for the model ",
          entry.job.model, ", not ", model, "; serve that model, or give another folder with --out");
}

// A job that ran when the program was killed is complete if its film is there: films are whole or absent, and their
// sheets are written before them. Otherwise it waits again and continues from what it kept.
void JobQueue::take_over(Job job) {
  next_number_ = std::max(next_number_, job.number + 1);
  const JobStatus before = job.status;
  std::error_code ignored;
  if (before == JobStatus::kInProgress) {
    const JobFiles files = store_.files_of(job.id);
    const bool whole = std::filesystem::exists(files.film, ignored);
    job.status = whole ? JobStatus::kCompleted : JobStatus::kQueued;
    if (whole) {
      job.completed_at = now();
      std::filesystem::remove(files.state, ignored);
      std::filesystem::remove(files.preview, ignored);
    }
  }
  if (before == JobStatus::kCancelled || before == JobStatus::kFailed) store_.remove_film(job.id);
  if (job.status != before) store_.save(job);
  const std::string id = job.id;  // what is right of = is moved first
  entries_[id] = Entry{std::move(job), {}, 0};
}

JobView JobQueue::view(const Entry& entry) const {
  int64_t position = 0;
  if (entry.job.status == JobStatus::kQueued)
    position = std::ranges::count_if(entries_, [&](const auto& item) {
      return item.second.job.status == JobStatus::kQueued && item.second.job.number <= entry.job.number;
    });
  return {entry.job, entry.progress, position, entry.version};
}

int64_t JobQueue::waiting() const {
  return std::ranges::count_if(entries_, [](const auto& item) { return item.second.job.waits(); });
}

const Job* JobQueue::with_key(const std::string& key) const {
  for (const auto& [id, entry] : entries_)
    if (!key.empty() && entry.job.key == key) return &entry.job;
  return nullptr;
}

Job JobQueue::new_job(const Script& script, int64_t frames, const std::string& key) {
  Job job;
  job.id = new_job_id();
  job.number = next_number_++;
  job.key = key;
  job.model = model_;
  job.frames = frames;
  job.created_at = now();
  job.script = script;
  job.script.folder = store_.folder_of(job.id);
  return job;
}

JobQueue::Submitted JobQueue::submit(const Script& script, int64_t frames,
                                     const std::map<std::string, std::string>& pictures, const std::string& key) {
  const std::lock_guard submitting(submitting_);
  Job job;
  {
    const std::lock_guard lock(mutex_);
    if (const Job* known = with_key(key)) {
      if (script_json(known->script) == script_json(script)) return {view(entries_.at(known->id)), false};
      throw ApiError(409, "idempotency_key_in_use", "this Idempotency-Key has submitted another script");
    }
    if (closed_) throw ApiError(503, "server_stopping", "the server is stopping");
    if (waiting() >= limits_.waiting)
      throw ApiError(429, "queue_full", "the queue is full: " + std::to_string(waiting()) + " jobs wait");
    job = new_job(script, frames, key);
  }
  store_.create(job, pictures);  // the slow part; others may read meanwhile
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[job.id] = Entry{job, {}, 0};
  for (auto& [id, other] : entries_) changed(other);
  return {view(entry), true};
}

std::optional<JobView> JobQueue::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  return found == entries_.end() ? std::nullopt : std::optional(view(found->second));
}

std::vector<JobView> JobQueue::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<JobView> jobs;
  for (const auto& [id, entry] : entries_) jobs.push_back({entry.job, entry.progress, 0, entry.version});
  std::ranges::sort(jobs, {}, [](const JobView& job) { return job.job.number; });
  int64_t position = 0;
  for (JobView& job : jobs)
    if (job.job.status == JobStatus::kQueued) job.position = ++position;
  return jobs;
}

Removal JobQueue::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) no_such_job(id);
  Entry& entry = found->second;
  if (entry.job.waits()) {
    JobRecord cancelled = entry.job;
    cancelled.status = JobStatus::kCancelled;
    cancelled.completed_at = now();
    store_.save(cancelled);  // from here on it is not worked on again, whatever happens
    static_cast<JobRecord&>(entry.job) = cancelled;
    if (running_ == id)
      stop_ = true;
    else
      store_.remove_film(id);
    for (auto& [other_id, other] : entries_) changed(other);
    return Removal::kCancelled;
  }
  if (running_ == id) throw ApiError(409, "video_stopping", "the video is being stopped; try again in a moment");
  store_.remove(id);
  entries_.erase(found);
  change_.notify_all();
  return Removal::kRemoved;
}

std::optional<JobView> JobQueue::wait_for_change(const std::string& id, uint64_t seen,
                                                 std::chrono::milliseconds longest) const {
  std::unique_lock lock(mutex_);
  const auto changed = [&] {
    const auto found = entries_.find(id);
    return closed_ || found == entries_.end() || found->second.version != seen;
  };
  change_.wait_for(lock, longest, changed);
  const auto found = entries_.find(id);
  return found == entries_.end() ? std::nullopt : std::optional(view(found->second));
}

std::optional<Job> JobQueue::take() {
  std::unique_lock lock(mutex_);
  Entry* next = nullptr;
  change_.wait(lock, [&] {
    next = nullptr;
    for (auto& [id, entry] : entries_)
      if (entry.job.status == JobStatus::kQueued && (!next || entry.job.number < next->job.number)) next = &entry;
    return closed_ || next;
  });
  if (closed_) return std::nullopt;
  next->job.status = JobStatus::kInProgress;
  next->job.started_at = now();
  next->progress = {};
  running_ = next->job.id;
  stop_ = false;
  save(next->job);
  for (auto& [id, entry] : entries_) changed(entry);
  return next->job;
}

void JobQueue::report(const std::string& id, const std::function<void(JobProgress&)>& change) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  change(found->second.progress);
  changed(found->second);
}

void JobQueue::complete(const std::string& id) { end(id, JobStatus::kCompleted, ""); }

void JobQueue::fail(const std::string& id, const std::string& message) { end(id, JobStatus::kFailed, message); }

void JobQueue::stopped(const std::string& id) { end(id, JobStatus::kQueued, ""); }

// A job that was cancelled in the meantime stays cancelled.
void JobQueue::end(const std::string& id, JobStatus status, const std::string& error) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.at(id);  // a running job is not removed
  running_.clear();
  if (entry.job.status != JobStatus::kCancelled) {
    entry.job.status = status;
    entry.job.error = error;
    entry.job.completed_at = status == JobStatus::kQueued ? 0 : now();
    save(entry.job);
  }
  if (entry.job.status == JobStatus::kCancelled || entry.job.status == JobStatus::kFailed) store_.remove_film(id);
  if (entry.job.status == JobStatus::kCompleted) {
    std::error_code ignored;
    std::filesystem::remove(store_.files_of(id).preview, ignored);
  }
  changed(entry);
  remove_oldest();
}

// The worker has nobody to tell that the disk is full. What is on the disk is older, and at worst a job runs again.
void JobQueue::save(const JobRecord& job) {
  try {
    store_.save(job);
  } catch (const std::exception& error) {
    log_info(job.id, ": its state could not be kept: ", error.what());
  }
}

void JobQueue::remove_oldest() {
  std::vector<const Job*> ended;
  for (const auto& [id, entry] : entries_)
    if (!entry.job.waits() && id != running_) ended.push_back(&entry.job);
  std::ranges::sort(ended, {}, [](const Job* job) { return std::pair(job->completed_at, job->number); });
  for (size_t i = 0; i + static_cast<size_t>(limits_.kept) < ended.size(); ++i) {
    const std::string id = ended[i]->id;
    try {
      store_.remove(id);
    } catch (const std::exception& error) {
      log_info(id, ": could not be removed: ", error.what());
      continue;
    }
    log_info(id, ": removed, because ", limits_.kept, " newer ones are kept");
    entries_.erase(id);
  }
  change_.notify_all();
}

void JobQueue::changed(Entry& entry) {
  ++entry.version;
  change_.notify_all();
}

void JobQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  change_.notify_all();
}

bool JobQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace moga
