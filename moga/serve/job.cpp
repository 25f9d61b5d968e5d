#include "moga/serve/job.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

namespace moga {
namespace {

constexpr std::string_view kPrefix = "video_", kDigits = "0123456789abcdef";
constexpr size_t kRandomDigits = 32;

// Percent: denoising is nearly all of the time.
int64_t percent(JobStatus status, const JobProgress& progress) {
  if (status == JobStatus::kCompleted) return 100;
  const double part = progress.total > 0 ? static_cast<double>(progress.done) / static_cast<double>(progress.total) : 0;
  if (progress.stage == "denoise") return std::llround(std::floor(95 * part));
  return progress.stage == "decode" ? 95 + std::llround(std::floor(4 * part)) : 0;
}

nlohmann::json stage(const JobProgress& progress) {
  if (progress.stage.empty()) return nullptr;
  nlohmann::json result = {{"name", progress.stage}, {"done", progress.done}, {"total", progress.total},
                           {"unit", progress.unit},  {"per_second", nullptr}, {"seconds_left", nullptr}};
  if (progress.seconds_per_unit > 0) {
    result["per_second"] = 1 / progress.seconds_per_unit;
    if (progress.total > 0)
      result["seconds_left"] = progress.seconds_per_unit * static_cast<double>(progress.total - progress.done);
  }
  return result;
}

// OpenAI's objects have the seconds as text: "8", or "8.0625".
std::string seconds_of(const Job& job) {
  std::ostringstream text;
  text << static_cast<double>(job.frames) / static_cast<double>(std::max<int64_t>(1, job.script.fps));
  return text.str();
}

nlohmann::json time_or_null(int64_t seconds) { return seconds > 0 ? nlohmann::json(seconds) : nlohmann::json(); }

}  // namespace

std::string new_job_id() {
  std::random_device random;
  std::string id(kPrefix);
  for (size_t i = 0; i < kRandomDigits; ++i) id += kDigits[random() % kDigits.size()];
  return id;
}

bool is_job_id(const std::string& text) {
  return text.size() == kPrefix.size() + kRandomDigits && text.starts_with(kPrefix) &&
         text.find_first_not_of(kDigits, kPrefix.size()) == std::string::npos;
}

nlohmann::json public_job(const Job& job, const JobProgress& progress, int64_t queue_position) {
  nlohmann::json error;
  if (job.status == JobStatus::kFailed) error = {{"code", "generation_failed"}, {"message", job.error}};
  if (job.status == JobStatus::kCancelled) error = {{"code", "cancelled"}, {"message", "the job was cancelled"}};
  const bool running = job.status == JobStatus::kInProgress;
  return {{"id", job.id},
          {"object", "video"},
          {"model", job.model},
          {"status", name_of(job.status)},
          {"progress", percent(job.status, running ? progress : JobProgress())},
          {"created_at", job.created_at},
          {"started_at", time_or_null(job.started_at)},
          {"completed_at", time_or_null(job.completed_at)},
          {"size", std::to_string(job.script.size.at(0)) + "x" + std::to_string(job.script.size.at(1))},
          {"seconds", seconds_of(job)},
          {"frames", job.frames},
          {"title", job.script.title},
          {"prompt", job.script.shot.empty() ? "" : job.script.shot.front().caption},
          {"shots", job.script.shot.size()},
          {"queue_position", queue_position},
          {"stage", running ? stage(progress) : nlohmann::json()},
          {"previews", progress.previews},
          {"error", error}};
}

}  // namespace moga
