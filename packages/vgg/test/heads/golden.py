"""Writes golden.json: what scikit-learn's heads say of a small set. Run: python golden.py (needs scikit-learn)."""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, r2_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

L2, K = 0.05, 4
rng = np.random.default_rng(7)
centres = rng.normal(size=(3, 5)) * 1.5
classes = np.arange(36) % 3
train = np.round(centres[classes] + rng.normal(size=(36, 5)) * [1, 2, 0.5, 1, 3], 3)
asked = np.round(centres[np.arange(9) % 3] + rng.normal(size=(9, 5)), 3)
labels = (rng.normal(size=(36, 2)) + train[:, :2] > 0.3).astype(int)
targets = np.round(train @ [3, -1, 0.5, 2, 0] + 40 + rng.normal(size=36), 3)

mean, deviation = train.mean(0), train.std(0)
x, z = (train - mean) / deviation, (asked - mean) / deviation
C = 1 / (L2 * len(x))
# A large intercept_scaling leaves the intercept all but free of the penalty.
svm = LinearSVC(C=C, loss="squared_hinge", dual=False, intercept_scaling=1000, tol=1e-10, max_iter=100000).fit(x, classes)
logistic = [LogisticRegression(C=C, tol=1e-10, max_iter=10000).fit(x, labels[:, c]) for c in range(2)]
ridge = Ridge(alpha=L2 * len(x)).fit(x, targets)
knn = {m: KNeighborsClassifier(K, metric=m, weights="distance").fit(train, classes).predict_proba(asked) for m in ["cosine", "euclidean"]}
own = np.stack([model.predict_proba(x)[:, 1] for model in logistic], 1)

golden = {
    "scikit-learn": sklearn.__version__,
    "l2": L2,
    "k": K,
    "train": train.tolist(),
    "asked": asked.tolist(),
    "classes": classes.tolist(),
    "labels": labels.tolist(),
    "targets": targets.tolist(),
    "svm": svm.decision_function(z).tolist(),
    "multiLabel": np.stack([model.predict_proba(z)[:, 1] for model in logistic], 1).tolist(),
    "averagePrecision": [average_precision_score(labels[:, c], own[:, c]) for c in range(2)],
    "regression": ridge.predict(z).tolist(),
    "r2": r2_score(targets, ridge.predict(x)),
    "knn": {name: values.tolist() for name, values in knn.items()},
}
Path(__file__).with_name("golden.json").write_text(json.dumps(golden) + "\n")
