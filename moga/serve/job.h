// A job of the server: one film, from the request to the file.
//
//   queued → in_progress → completed | failed | cancelled
//
// What is known of it on the disk is Job (job_store.h); JobProgress is forgotten when the program ends.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

#include "moga/core/choice.h"
#include "moga/data/script.h"

namespace moga {

enum class JobStatus { kQueued, kInProgress, kCompleted, kFailed, kCancelled };
template <>
inline constexpr auto kChoices<JobStatus> = std::array{
    Choice{JobStatus::kQueued, "queued", "waits for the worker"},
    Choice{JobStatus::kInProgress, "in_progress", "the worker generates it"},
    Choice{JobStatus::kCompleted, "completed", "the film is there"},
    Choice{JobStatus::kFailed, "failed", "it ended with an error"},
    Choice{JobStatus::kCancelled, "cancelled", "it was cancelled before it was complete"},
};

// What changes of a job, and what it was submitted with besides its script: the file job.json.
struct JobRecord {
  std::string id;      // "video_" and 32 hexadecimal digits
  int64_t number = 0;  // jobs are worked on in this order
  std::string key;     // the request's Idempotency-Key; empty: none
  std::string model;   // name of the model that generates it
  int64_t frames = 0;  // of the film, in pixels
  JobStatus status = JobStatus::kQueued;
  int64_t created_at = 0, started_at = 0, completed_at = 0;  // seconds since 1970; 0: not yet
  std::string error;                                         // of a job that failed

  template <class Fields>
  void fields(Fields& field) {
    field("id", id, "name of the job");
    field("number", number, "jobs are worked on in this order");
    field("key", key, "Idempotency-Key of the request");
    field("model", model, "name of the model");
    field("frames", frames, "pixel frames of the film");
    field("status", status, "state");
    field("created_at", created_at, "seconds since 1970");
    field("started_at", started_at, "seconds since 1970, 0: not yet");
    field("completed_at", completed_at, "when it ended, 0: not yet");
    field("error", error, "why it failed");
  }
  bool waits() const { return status == JobStatus::kQueued || status == JobStatus::kInProgress; }
};

struct Job : JobRecord {
  Script script;
};

struct JobProgress {
  std::string stage, unit;      // "denoise", "step"; empty: none yet
  int64_t done = 0, total = 0;  // total 0: unknown
  double seconds_per_unit = 0;  // 0: unknown
  int64_t previews = 0;         // pictures so far; the newest one is kept
};

// A new id, at random.
std::string new_job_id();
// Whether `text` could be one. Only such a name is ever looked for on the disk.
bool is_job_id(const std::string& text);

// The job as clients see it: OpenAI's video object, and what it does not have: stage, queue_position (from 1; 0: not
// waiting), title, shots, frames.
nlohmann::json public_job(const Job& job, const JobProgress& progress, int64_t queue_position);

}  // namespace moga
