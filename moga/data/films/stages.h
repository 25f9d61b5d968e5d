// The stages of `moga prepare videos` that need no model of ours: probe → cut → score → crop → caption → merge, and the
// report. Each returns the lines of its manifest
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

// score.jsonl, one line per shot: numbers of its pictures (picture_scores.h), and why it is dropped if it is; and a
// line per shot that repeats an earlier one. No lines when the stage is not enabled.
std::vector<Record> score_films(const FilmsConfig& config, const std::vector<Record>& films,
                                const std::vector<Record>& shots);

// crop.jsonl, one line per shot: borders, marks, and the part of the picture that is used, [x, y, width, height] of the
// displayed picture.
std::vector<Record> crop_films(const FilmsConfig& config, const std::vector<Record>& films,
                               const std::vector<Record>& shots);

// caption.jsonl, one line per shot that the captioner described, and one per film with a caption for all of it. No
// lines without an endpoint.
std::vector<Record> caption_films(const FilmsConfig& config, const std::vector<Record>& films,
                                  const std::vector<Record>& shots);

// The films with the captions that caption.jsonl has for all of them.
std::vector<Record> with_global_captions(std::vector<Record> films, const std::vector<Record>& captions);

// merge.jsonl, one line per sample: its shots with start, pixel frames and latent frames at the model's rate, captions,
// size and crop. Shots are cut off at their end to whole latent frames, so that cuts lie between latent frames.
std::vector<Record> merge_films(const FilmsConfig& config, const std::vector<Record>& films,
                                const std::vector<Record>& shots);

// report.html, a page with a row per line of merge.jsonl: thumbnails, captions, scores, why it is dropped if it is.
// `cuts`: lines of cut.jsonl. `scores`, `encoded`: empty when those stages have not run. Thumbnails are kept in
// report.jsonl.
void write_report(const FilmsConfig& config, const std::vector<Record>& films, const std::vector<Record>& cuts,
                  const std::vector<Record>& scores, const std::vector<Record>& samples,
                  const std::vector<Record>& encoded);

// The lines of a stage that has run before; throws and names the stage when it has not.
std::vector<Record> stage_records(const FilmsConfig& config, FilmStage stage);

// One line per file: size, rate, seconds, shots, samples, latent frames, what is dropped and why. Empty lists: stages
// that have not run.
std::string films_table(const std::vector<Record>& films, const std::vector<Record>& shots,
                        const std::vector<Record>& samples);

}  // namespace moga
