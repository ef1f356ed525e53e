{{ weeks_of_dates(ref('stg_transactions')) }}
