// The stages of `moga prepare videos` that need no model: probe → cut → merge. Each returns the lines of its manifest
// (manifest.h), reads those of the stage before, and continues where a killed run ended. See config.h.
#pragma once

#include <string>
#include <vector>

#include "moga/data/films/config.h"
#include "moga/data/films/manifest.h"

namespace moga {

// probe.jsonl, one line per file: what it holds, its captions, and why it is dropped if it is.
std::vector<Record> probe_films(const FilmsConfig& config);

// cut.jsonl, one line per shot: start and end in seconds, frames, and the boundary that it begins with.
std::vector<Record> cut_films(const FilmsConfig& config, const std::vector<Record>& films);

// merge.jsonl, one line per sample: its shots with start, pixel frames and latent frames at the model's rate, captions,
// size and crop. Shots are cut off at their end to whole latent frames, so that cuts lie between latent frames.
std::vector<Record> merge_films(const FilmsConfig& config, const std::vector<Record>& films,
                                const std::vector<Record>& shots);

// The lines of a stage that has run before; throws and names the stage when it has not.
std::vector<Record> stage_records(const FilmsConfig& config, FilmStage stage);

// One line per file: size, rate, seconds, shots, samples, latent frames, what is dropped and why. Empty lists: stages
// that have not run.
std::string films_table(const std::vector<Record>& films, const std::vector<Record>& shots,
                        const std::vector<Record>& samples);

}  // namespace moga
