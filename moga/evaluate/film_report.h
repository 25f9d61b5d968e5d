// The results of evaluate_films as a table for people, as JSON with everything, and as CSV with a row per film.
#pragma once

#include "moga/evaluate/evaluate_films.h"

namespace moga {

// A row per film and its baselines, then the means over all films.
std::string film_table(const FilmsEvaluation& evaluation);
std::string film_json(const FilmsEvaluation& evaluation, const FilmsEvaluationConfig& config);
// RFC 4180, with a header; a measure that was not computed is empty.
std::string film_csv(const FilmsEvaluation& evaluation);
// films.json and films.csv in config.out.
void write_film_report(const FilmsEvaluation& evaluation, const FilmsEvaluationConfig& config);

}  // namespace moga
