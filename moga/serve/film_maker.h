// The film of a job, by the pipeline: script → models → generate_files, with progress, previews and kept steps.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moga/pipeline/models.h"
#include "moga/serve/worker.h"

namespace moga {

struct ServedModel {
  std::filesystem::path folder;
  std::string name;                   // what clients call it
  std::string tool;                   // program and version, for the film's tags
  ModelConfigs configs;               // of the folder, without settings
  std::vector<std::string> settings;  // of whoever started the server; a script's `set` goes over them
  // Plans the script and reads the weights, with all settings.
  std::function<Models(const Script& script, const std::vector<std::string>& settings)> load;
  bool keep_loaded = false;  // between jobs; otherwise a stage's weights are released once it is done
  double keep_every = 60;    // seconds of denoising between two writes of the state
};

class FilmMaker {
 public:
  // Throws when the model's own settings are wrong.
  explicit FilmMaker(ServedModel model);

  // Throws one line when the model cannot generate the script. Reads no weights; for any thread.
  void check(const Script& script) const;
  // MakeFilm (worker.h). A kept state that does not fit, such as that of other weights, is removed with a log line, and
  // the film starts again.
  void make(const Job& job, const JobFiles& files,
            const std::function<void(const std::function<void(JobProgress&)>&)>& report);

  // The size of scripts that name none.
  std::vector<int64_t> size() const;
  const ServedModel& model() const { return model_; }

 private:
  using Report = std::function<void(const std::function<void(JobProgress&)>&)>;
  std::vector<std::string> all_settings(const Script& script) const;
  Models load(const Script& script);
  void generate(const Job& job, const JobFiles& files, const Report& report, bool resume);

  ServedModel model_;
  std::optional<std::pair<std::vector<std::string>, Models>> loaded_;  // settings and models, with keep_loaded
};

}  // namespace moga
