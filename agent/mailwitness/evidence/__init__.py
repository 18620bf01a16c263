"""The contract between observers and judges: frozen records with one versioned JSON form."""
