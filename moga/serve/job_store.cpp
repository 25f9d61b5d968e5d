#include "moga/serve/job_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/data/script_json.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRemoved = ".removed-";

bool is_unfinished(const std::string& name) {
  return name.starts_with(kRemoved) || (name.starts_with('.') && name.find(".partial-") != std::string::npos);
}

// What killed programs left in a folder that this program alone uses.
void remove_unfinished(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
    if (is_unfinished(entry.path().filename().string())) fs::remove_all(entry.path(), ignored);
}

Job load_job(const fs::path& folder) {
  Job job;
  static_cast<JobRecord&>(job) = load_json<JobRecord>(folder / "job.json");
  check(job.id == folder.filename().string(), (folder / "job.json").string(), ": id is '", job.id,
        "', expected the name of its folder");
  const fs::path script = folder / "script.json";
  job.script = parse_script_json(read_text(script, kMostConfigBytes), script.string());
  check(job.script.size.size() == 2, script.string(), ": size has ", job.script.size.size(), " numbers, expected 2");
  job.script.folder = folder;
  return job;
}

void write_plain(const fs::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  check(file.good(), path.string(), ": cannot be written: ", std::strerror(errno));
}

}  // namespace

JobStore::JobStore(const fs::path& folder) : folder_(fs::absolute(folder)) {
  make_folder(folder_);
  const fs::path lock = folder_ / ".lock";
  lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  check(lock_ >= 0, lock.string(), ": cannot be opened: ", std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  close(lock_);
  check(error != EWOULDBLOCK, folder.string(), ": is used by another `moga serve`; give another folder with --out");
  fail(lock.string(), ": cannot be locked: ", std::strerror(error));
}

JobStore::~JobStore() { close(lock_); }

std::vector<Job> JobStore::load() {
  remove_unfinished(folder_);
  std::vector<Job> jobs;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    if (!is_job_id(entry.path().filename().string())) continue;
    try {
      remove_unfinished(entry.path());
      jobs.push_back(load_job(entry.path()));
    } catch (const Error& error) {
      log_info("skipped a job: ", error.what());
    }
  }
  std::ranges::sort(jobs, {}, &Job::number);
  return jobs;
}

void JobStore::create(const Job& job, const std::map<std::string, std::string>& pictures) {
  write_folder_atomically(folder_of(job.id), Existing::kRefuse, [&](const fs::path& temporary) {
    write_plain(temporary / "script.json", script_json(job.script));
    write_plain(temporary / "job.json", to_json(static_cast<const JobRecord&>(job)));
    for (const auto& [name, content] : pictures) write_plain(temporary / name, content);
  });
}

void JobStore::save(const JobRecord& job) { write_text(folder_of(job.id) / "job.json", to_json(job)); }

void JobStore::remove(const std::string& id) {
  const fs::path aside = folder_ / (kRemoved + id);
  fs::rename(folder_of(id), aside);
  const int folder = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  std::error_code ignored;
  fs::remove_all(aside, ignored);
}

void JobStore::remove_film(const std::string& id) {
  const JobFiles files = files_of(id);
  std::error_code ignored;
  for (const fs::path& file : {files.film, files.sheet, files.state, files.preview}) fs::remove(file, ignored);
}

JobFiles JobStore::files_of(const std::string& id) const {
  const fs::path folder = folder_of(id), film = folder / "film.mp4";
  return {film, folder / "film.png", film.string() + ".resume", folder / "preview.jpg"};
}

}  // namespace moga
