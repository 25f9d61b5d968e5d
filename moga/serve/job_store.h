// The jobs on the disk: one folder per job, so that a program that ends at any moment loses none.
//
//   DIR/video_0123…/job.json       its state, replaced as a whole (JobRecord)
//                   script.json    the script, written once
//                   image-1.png …  pictures of the script's shots
//                   film.mp4, film.png, film.mp4.resume, preview.jpg
//
// A job comes into being by the renaming of its complete folder, and ends by a renaming. One program uses a folder at a
// time. Not for several threads at once; job_queue.h is.
#pragma once

#include <filesystem>
#include <map>
#include <vector>

#include "moga/serve/job.h"

namespace moga {

// The files that generating a job writes.
struct JobFiles {
  std::filesystem::path film, sheet, state, preview;
};

class JobStore {
 public:
  // Creates the folder. Throws when another program uses it.
  explicit JobStore(const std::filesystem::path& folder);
  ~JobStore();
  JobStore(const JobStore&) = delete;
  JobStore& operator=(const JobStore&) = delete;

  // All jobs, by number. Removes what a killed program left half-written or half-removed; a job that cannot be read is
  // named in the log and left alone.
  std::vector<Job> load();
  // `pictures`: file name → content. Returns when all of it is on the disk.
  void create(const Job& job, const std::map<std::string, std::string>& pictures);
  void save(const JobRecord& job);  // job.json
  void remove(const std::string& id);
  // Removes everything that generating has written; absent files are no error.
  void remove_film(const std::string& id);

  std::filesystem::path folder_of(const std::string& id) const { return folder_ / id; }
  JobFiles files_of(const std::string& id) const;

 private:
  std::filesystem::path folder_;
  int lock_ = -1;
};

}  // namespace moga
